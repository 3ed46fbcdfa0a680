"""The Python blocks of a page: one namespace, in order, as if typed into one session; `await` works at the top.

An expression may end in ``# -> value``: then its repr, what it prints if it is None, or the error that it raises as
``Type: text`` must match the value (see output.py).
"""

import ast
import asyncio
import contextlib
import inspect
import io
import re
import sys
from typing import Any

from markdown_page import Block, PageError
from output import matches

_EXPECTED = re.compile(r"# -> (.*?)\s*$")


class PythonSession:
    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__page__"}
        self._loop = asyncio.new_event_loop()

    def run(self, block: Block) -> str:
        """What it printed. Raises what it raises, PageError where a value is not what the page says."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            for statement in ast.parse(block.code).body:
                self._run_statement(block, statement, printed)
        return printed.getvalue()

    def _run_statement(self, block: Block, statement: ast.stmt, printed: io.StringIO) -> None:
        last_line = block.code.splitlines()[(statement.end_lineno or 1) - 1]
        said = _EXPECTED.search(last_line)
        ast.increment_lineno(statement, block.line - 1)
        if not said:
            self._execute(block, ast.Module([statement], []), "exec")
            return
        if not isinstance(statement, ast.Expr):
            raise PageError(f"{block.page}:{statement.end_lineno}: only expressions have a value for '# ->'")
        before = len(printed.getvalue())
        try:
            value = self._execute(block, ast.Expression(statement.value), "eval")
            shown = printed.getvalue()[before:] if value is None else repr(value)
        except Exception as error:
            shown = f"{type(error).__name__}: {error}"
        if not matches(said[1], shown, varies="varies" in block.marks):
            raise PageError(f"{block.page}:{statement.end_lineno}: the page says {said[1]!r}, and it is {shown!r}")

    def _execute(self, block: Block, tree: Any, how: str) -> Any:
        code = compile(tree, str(block.page), how, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        value = eval(code, self.names)
        return self._loop.run_until_complete(value) if inspect.iscoroutine(value) else value

    def close(self) -> None:
        self.names.clear()
        self._loop.close()
        sys.stdout.flush()


def check_syntax(block: Block) -> None:
    compile(block.code, str(block.page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
