"""A header as Doxygen wants it: its plain comments as documentation. Doxygen's INPUT_FILTER; prints the result.

    doc_comments.py HEADER

Comments above a declaration and behind one are documentation; those in the bodies of functions are not. The
comment that begins a file belongs to the class that its first word names, if there is one. In it, words before wide
gaps ("Threads  one") become headings, and what is indented behind an empty line becomes code.
"""

import re
import sys
from pathlib import Path

_SCOPE = re.compile(r"\s*(inline )?(namespace|class|struct|enum)\b[^;]*\{\s*(//.*)?$")


def _texts(comment: list[str]) -> list[str]:
    """Lines of a comment, translated; each is to stand behind ///."""
    found, in_code = [], False
    for at, line in enumerate(comment):
        text = re.sub(r"^\s*// ?", "", line).rstrip()
        heading = re.match(r"(Owns|Threads|Forks|Fails|Ends|Crash)  +(.*)", text)
        opens_code = text.startswith("  ") and at > 0 and found and found[-1].strip() == ""
        if in_code and (not text.startswith("  ") or heading):
            found.append("\\endcode")
            in_code = False
        if opens_code and not in_code:
            found.append("\\code")
            in_code = True
        if heading:
            found += [f"\\par {heading[1]}", heading[2]]
        else:
            found.append(text if in_code else text.strip())
    return [*found, "\\endcode"] if in_code else found


def translate(source: str) -> str:
    lines = source.splitlines()
    beginning: list[str] = []
    while lines and lines[0].startswith("//"):
        beginning.append(lines.pop(0))
    word = re.match(r"// (\w+):", beginning[0]) if beginning else None
    of_class = re.compile(rf"(class|struct) (alignas\(\d+\) )?{word[1]} \{{") if word else None
    result = ["/// \\file"]
    scopes: list[bool] = []  # of each open brace: whether declarations are in it
    comment: list[str] = []
    for line in lines:
        declares = all(scopes)
        if declares and re.match(r"\s*// ", line) and not re.match(r"\s*// ----", line):
            comment.append(line)
            continue
        if of_class and of_class.match(line):
            comment = beginning
        result += [f"/// {text}" for text in _texts(comment)]
        comment = []
        is_plain = not declares or line.lstrip().startswith(("#", "}", "//"))
        result.append(line if is_plain else re.sub(r"([;,{}])\s+// (?!NOLINT)", r"\1  ///< ", line))
        code = re.sub(r"//.*|\"[^\"]*\"", "", line)
        for brace in re.findall(r"[{}]", code):
            if brace == "}":
                scopes.pop()
            else:
                scopes.append(bool(_SCOPE.match(line)))
    return "\n".join(result) + "\n"


if __name__ == "__main__":
    sys.stdout.write(translate(Path(sys.argv[1]).read_text()))
