"""The runner of the pages, on pages that are wrong: what it lets pass would go unnoticed in all of docs/."""

import subprocess
import sys
from pathlib import Path

import output
import pytest

RUN_PAGE = Path(__file__).with_name("run_page.py")


@pytest.fixture
def run(prefix, tmp_path):
    def run(text):
        page = tmp_path / "page.md"
        page.write_text(text)
        command = [sys.executable, str(RUN_PAGE), str(page), "--prefix", str(prefix)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("```python\nassert 1 == 2\n```", "AssertionError"),
        ("```python\n1 + 1  # -> 3\n```", "page.md:2: the page says '3', and it is '2'"),
        ('```python\n{}["a"]  # -> KeyError: b\n```', "KeyError: 'a'"),
        ("```python\nprint(1)\n```\n<!-- output -->\n```text\n2\n```", "the page says:\n2"),
        ("```console\n$ false\n```", "page.md:2: $ false\nends with 1"),
        ("```console\n$ echo one\ntwo\n```", "the page says:\ntwo\nand it prints:\none"),
        ("```console\n$ echo 12\n13\n```", "the page says:\n13"),
        ("```console\nls\n```", "begins with `$ `"),
        ("```cpp\nint x = nothing;\n```", "page.md:2:9: error"),
        ("```cpp\nstd::abort();\n```", "ends with -6"),
        ("```cmake\nadd_executable(job job.cpp)\n```", "<!-- file: job.cpp -->"),
        ("```yaml\n[\n```", "page.md:2: yaml"),
        ("```ini\nmax-bites = 3\n```", "tensord does not start with it"),
        ("```ini\n[Service]\nRestrt=no\n```", "systemd-analyze verify"),
        ("```dockerfile\nFROM debian\n```", "nobody can run a block of dockerfile"),
        ("```\nls\n```", "a block without a language"),
        ("text\n\n    indented\n", "an indented block"),
        ("```text\n$ ls\n```", "this is a console block"),
        ("<!-- not run: -->\n```console\n$ ls\n```", "wants a reason"),
        ("<!-- not run: x -->\n```console\n$ if\n```", "bash -n"),
        ("<!-- not run: x -->\n```console\n$ make nonsense\n```", "no `make nonsense`"),
        ("<!-- not run: x -->\n```python\n)\n```", "SyntaxError"),
        ("<!-- not run: x -->\ntext\n", "stands before something that is no code block"),
        ("<!-- setup python\n1\n-->\n", "no comment of this form"),
    ],
)
def test_a_page_that_is_wrong_fails_and_says_where(run, text, complaint):
    status, said = run(text)
    assert status != 0 and complaint in said, said


def test_a_page_that_is_right_runs_as_one_session_on_a_store_of_its_own(run):
    status, said = run("""
<!-- setup:python
import numpy as np
import tensord
store = tensord.connect()
-->
```python
view = store.put("a", np.arange(3))
view.numpy().sum()  # -> np.int64(3)
store["b"]  # -> NotFoundError: ...
```

```cpp
std::cout << store.attach("a").numel() << '\\n';
```
<!-- output -->
```text
3
```

```console
$ tensorctl status
daemon       tensord ...
socket       /run/user/1000/tensord/tensord.sock
...
$ cd /nowhere
...
$ echo $?
1
```

<!-- not run: needs root -->
```console
$ sudo rm -r /
```
""")
    assert status == 0, said
    assert "console, not run: needs root" in said and "5 blocks ran or were read, 1 were not run" in said, said


@pytest.mark.parametrize(
    "expected, actual, varies, same",
    [
        ("a  b", "a b\n", False, True),
        ("a ... z", "a b c z", False, True),
        ("a\n...\nz", "a\nb\nc\nz", False, True),
        ("a\n...\nz", "a\nz", False, True),
        ("a", "a\nb", False, False),
        ("pid 12", "pid 13", False, False),
        ("pid 12", "pid 1345", True, True),
        ("pid 12", "pid x", True, False),
        ("1.5 MiB used", "640 B used", True, True),
        ("1.5 MiB used", "640 B free", True, False),
        ("[1]", "1", False, False),
    ],
)
def test_output_is_compared_exactly_but_for_what_the_page_leaves_open(expected, actual, varies, same):
    assert output.matches(expected, actual, varies) is same
