"""Every place in the sources that makes an error message, with what is fixed of its text.

A site is a `throw SomethingError(...)`, a `Failure{Errc::kSomething, ...}` or a Python `raise SomethingError(...)`.
Its text is what stands there in string literals; whatever is put between them becomes a gap, so that a message
can be recognised when it is seen. Messages that are only passed on have no literals, and are no sites.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
CPP_FOLDERS = ("lib", "daemon", "python/src")
PYTHON_FOLDERS = ("python/tensord",)

_BEGINNING = re.compile(
    r"throw\s+(?:tensord::)?(\w+Error)\(|Failure\{\s*Errc::k(\w+),|throw_error\(\s*Errc::k(\w+),|(throw_broken_daemon)\("
)
_LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPES = {r"\"": '"', r"\\": "\\", r"\n": "\n", r"\t": "\t"}


class Site(NamedTuple):
    place: str  # file:line
    error: str  # the class, without "Error"
    pieces: tuple[str, ...]  # of the text, in order, with gaps between them

    @property
    def text(self) -> str:
        return " … ".join(piece.strip() for piece in self.pieces)

    def matches(self, message: str) -> bool:
        return re.search(".*".join(map(re.escape, self.pieces)), message, re.DOTALL) is not None


def sites() -> list[Site]:
    found = [site for folder in CPP_FOLDERS for path in _sources(folder, "*.[ch]pp") for site in _cpp_sites(path)]
    found += [site for folder in PYTHON_FOLDERS for path in _sources(folder, "*.py") for site in _python_sites(path)]
    return found


def _sources(folder: str, pattern: str) -> list[Path]:
    return sorted((ROOT / folder).rglob(pattern))


def _place(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


# ---- C++ ----


def _cpp_sites(path: Path) -> Iterator[Site]:
    text = path.read_text()
    for beginning in _BEGINNING.finditer(text):
        expression = text[beginning.end() : _end_of(text, beginning.end())]
        pieces = _cpp_pieces(expression)
        if pieces:
            error = next(filter(None, beginning.groups())).removesuffix("Error")
            if error == "throw_broken_daemon":
                error, pieces = "Internal", (*pieces, ": the daemon is broken, or hostile")
            yield Site(_place(path, text.count("\n", 0, beginning.start()) + 1), error, pieces)


def _end_of(text: str, start: int) -> int:
    """Where the bracket that was opened before `start` is closed."""
    depth, at = 1, start
    while depth:
        if text[at] == '"':
            at = _LITERAL.match(text, at).end()  # type: ignore[union-attr]
            continue
        depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(text[at], 0)
        at += 1
    return at - 1


def _cpp_pieces(expression: str) -> tuple[str, ...]:
    """The literals of an expression; those with nothing but white space between them are one. Literals inside of
    calls and of conditions are left out: which of them is in the message cannot be seen here."""
    pieces: list[str] = []
    last_end, depth, at = -1, 0, 0
    while at < len(expression):
        literal = _LITERAL.match(expression, at)
        if literal is None:
            depth += {"(": 1, ")": -1, "{": 1, "}": -1}.get(expression[at], 0)
            at += 1
            continue
        is_wrapped = re.search(r"std::string\(\s*$", expression[:at]) is not None
        if depth == 0 or (depth == 1 and is_wrapped):
            value = re.sub(r"\\.", lambda escape: _ESCAPES.get(escape[0], escape[0]), literal[1])
            if pieces and last_end >= 0 and not expression[last_end:at].strip():
                pieces[-1] += value
            else:
                pieces.append(value)
            last_end = literal.end()
        at = literal.end()
    return tuple(piece for piece in pieces if piece.strip(" '.:,;()"))


# ---- Python ----


def _python_sites(path: Path) -> Iterator[Site]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)):
            continue
        if not node.exc.func.id.endswith("Error") or not node.exc.args:
            continue
        pieces = tuple(piece for piece in _python_pieces(node.exc.args[0]) if piece.strip(" '.:,;()"))
        if pieces:
            yield Site(_place(path, node.lineno), node.exc.func.id.removesuffix("Error"), pieces)


def _python_pieces(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return [part.value for part in node.values if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    if isinstance(node, ast.BinOp):
        return _python_pieces(node.left) + _python_pieces(node.right)
    return []
