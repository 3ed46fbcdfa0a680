"""A command on a terminal of its own: what it shows, and keys for it."""

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time


def without_colours(shown):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)


def _hear_the_keyboard():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that ^C reaches it
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever runs the tests in the background ignores it


class OnTerminal:
    """python -m tensord with these arguments, on a terminal of `columns` and `rows`."""

    def __init__(self, socket, *arguments, columns=80, rows=24, **environment):
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        clean = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        settings = {"TENSORD_SOCKET": str(socket), "TERM": "xterm-256color", "COLORTERM": "truecolor", **environment}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tensord", *map(str, arguments)],
            env={**clean, **settings},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=_hear_the_keyboard,
        )
        os.close(theirs)
        self.shown = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a read may end within a character

    def until(self, pattern, patience_s=60.0):
        """What was shown since the last call, up to the first place where the pattern is found in it."""
        end = time.monotonic() + patience_s
        while True:
            text = without_colours(self.shown)
            found = re.search(pattern, text)
            if found:
                self.shown = text[found.end() :]
                return text[: found.end()]
            assert time.monotonic() < end and self._read(end), f"no {pattern!r} in:\n{text}"

    def rest(self, patience_s=60.0):
        """All that is shown, to the end of the process, colours included."""
        end = time.monotonic() + patience_s
        while self._read(end):
            pass
        self.process.wait(timeout=patience_s)
        return self.shown

    def type(self, keys):
        os.write(self._ours, keys.encode())

    def _read(self, end):
        ready, _, _ = select.select([self._ours], [], [], max(0, end - time.monotonic()))
        try:
            read = os.read(self._ours, 1 << 16) if ready else b""
        except OSError:  # the other end is gone
            return False
        self.shown += self._decoder.decode(read)
        return bool(read)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
