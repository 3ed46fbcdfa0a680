"""Whether a program printed what a page says it prints.

Spaces count as one, at either end of a line as none. `...` in the page stands for anything, and on a line of its own
for any lines. Where the page says that figures vary, a number stands for any number, and a unit behind it for any
unit; all else is exact.
"""

import re

_UNITS = ("bytes", "B", "KiB", "MiB", "GiB", "TiB", "us", "µs", "ms", "s", "min", "h", "d", "%")
_NUMBER = r"\d[\d.,:]*"


def _pattern(text: str, varies: bool) -> str:
    words = []
    for word in re.split(rf"(\.\.\.|[ \t]+|{_NUMBER}(?: ?(?:{'|'.join(_UNITS)})\b)?)", text):
        if word == "...":
            words.append(".*")
        elif word.isspace():
            words.append(r"[ \t]+")
        elif varies and re.match(r"\d", word):
            words.append(rf"{_NUMBER}(?: ?(?:{'|'.join(_UNITS)})(?!\w))?")
        else:
            words.append(re.escape(word))
    return "".join(words)


def matches(expected: str, actual: str, varies: bool = False) -> bool:
    pattern = ""
    for line in expected.rstrip().splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += _pattern(line.strip(), varies) + "\n"
    return re.fullmatch(pattern, "".join(line.strip() + "\n" for line in actual.rstrip().splitlines())) is not None
