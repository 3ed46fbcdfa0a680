"""Sub-interpreters are refused, with a word; docs/python.md says why."""

import subprocess
import sys

import pytest

pytest.importorskip("_xxsubinterpreters" if sys.version_info < (3, 13) else "_interpreters")

# Through the module that the standard library has for its own tests: there is no public one before 3.14.
SUB_INTERPRETER = """
import sys

if sys.version_info < (3, 13):
    import _xxsubinterpreters as interpreters

    make = {"own GIL": lambda: interpreters.create(), "shared GIL": lambda: interpreters.create(isolated=False)}
else:
    import _interpreters as interpreters

    make = {"own GIL": lambda: interpreters.create("isolated"), "shared GIL": lambda: interpreters.create("legacy")}

code = '''
try:
    import tensord
except ImportError as error:
    refusal = str(error)
else:
    refusal = "none"
open({path!r}, "w").write(refusal)
'''

def import_there(kind, path):
    interpreter = make[kind]()
    interpreters.run_string(interpreter, code.format(path=path))
    interpreters.destroy(interpreter)
    return open(path).read()
"""


def run(code):
    # A limit on the time, for what went wrong there was a wait for ever.
    done = subprocess.run([sys.executable, "-c", SUB_INTERPRETER + code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


@pytest.mark.parametrize("kind", ["own GIL", "shared GIL"])
@pytest.mark.parametrize("first", ["main", "sub"])
def test_a_sub_interpreter_refuses_the_import_and_the_main_one_goes_on(tmp_path, kind, first):
    refusal, text = run(f"""
if {first == "main"}:
    import tensord
refusal = import_there({kind!r}, {str(tmp_path / "refusal")!r})

import tensord
try:
    tensord.connect("/nonexistent/socket", start=False)
except tensord.ConnectionLostError as error:
    print(refusal, error, sep="\\n")
""").splitlines()
    # From 3.13 on Python itself refuses it to one with a GIL of its own, before we are asked.
    by_python = "does not support loading in subinterpreters"
    assert "main interpreter" in refusal or (sys.version_info >= (3, 13) and kind == "own GIL" and by_python in refusal)
    assert "/nonexistent/socket" in text
