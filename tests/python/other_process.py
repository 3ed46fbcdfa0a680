"""Python in another process: the consumer or producer that shares with the test."""

import json
import os
import subprocess
import sys
import textwrap

_PRELUDE = """
import json, os, signal, sys
import numpy as np
import tensord

# A test run in the background of a shell ignores Ctrl-C, and so would this process: it inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)

def say(value):
    print(json.dumps(value), flush=True)

def hear():
    return json.loads(sys.stdin.readline())
"""


def _command(code):
    return [sys.executable, "-c", _PRELUDE + textwrap.dedent(code)]


def _environment(socket):
    return {**os.environ, "TENSORD_SOCKET": str(socket)}


def run_python(socket, code):
    """Runs `code` to its end, with tensord.connect() leading to `socket`. Returns the finished process."""
    return subprocess.run(_command(code), env=_environment(socket), capture_output=True, text=True, timeout=120)


def ask_python(socket, code):
    """The one value that `code` says."""
    done = run_python(socket, code)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class OtherProcess:
    """Code that runs beside the test: say() here is heard there, and the other way round."""

    def __init__(self, socket, code, **popen):
        self.process = subprocess.Popen(
            _command(code),
            env=_environment(socket),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **popen,
        )

    def hear(self):
        line = self.process.stdout.readline()
        assert line, "the other process ended: " + self.process.stderr.read()
        return json.loads(line)

    def say(self, value):
        self.process.stdin.write(json.dumps(value) + "\n")
        self.process.stdin.flush()

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        return self.process.wait(timeout=120)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()
