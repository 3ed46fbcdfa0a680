"""A Markdown page, read: its code blocks in order, and what comments say about them.

A reader sees the fenced blocks alone. Comments, which no renderer shows, tell the tests the rest:

    <!-- setup:python            code that is run here, so that the blocks below can be short; also setup:console,
    ...                          and setup:file NAME for a file beside the blocks
    -->
    <!-- file: job.cpp -->       the block below is this file, from the beginning on
    <!-- varies: pids -->        numbers and units in its output differ from run to run
    <!-- output -->              the block below is what the one above prints
    <!-- not run: needs sudo --> the block below is checked as far as that goes without running it
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt

_SETUP = re.compile(r"<!--\s*setup:(python|console|file)[ ]*(\S*)[ ]*\n(.*?)-->\s*\Z", re.DOTALL)
_MARK = re.compile(r"<!--\s*(file|varies|output|not run)\b:?\s*(.*?)\s*-->", re.DOTALL)


class PageError(Exception):
    """What is wrong with a page, and where: the message begins with page:line."""


@dataclass
class Block:
    page: Path
    line: int  #: of its first line of code, in the page
    language: str
    code: str
    hidden: bool = False  #: in a comment
    marks: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: Path, text: str) -> list[Block]:
    """All of the page's blocks, hidden ones too. Raises PageError for a block or mark that says nothing clear."""
    found: list[Block] = []
    marks: dict[str, str] = {}
    for token in MarkdownIt("commonmark").parse(text):
        if token.map is None or token.type not in ("fence", "code_block", "html_block"):
            if marks and token.type in ("paragraph_open", "heading_open"):
                raise PageError(f"{page}: the mark {marks} stands before something that is no code block")
            continue
        line = token.map[0] + 1
        if token.type == "code_block":
            raise PageError(f"{page}:{line}: an indented block says no language: fence it, as ```console or ```text")
        if token.type == "fence":
            language = token.info.split()[0] if token.info.split() else ""
            if not language:
                raise PageError(f"{page}:{line}: a block without a language: text, if nobody can run it")
            found.append(Block(page, line + 1, language, token.content, marks=marks))
            marks = {}
        elif setup := _SETUP.match(token.content):
            language, name, code = setup.groups()
            own = {"file": name} if language == "file" else {}
            found.append(Block(page, line + 1, language, code, hidden=True, marks=own))
        else:
            said = _MARK.findall(token.content)
            if not said and re.match(r"<!--\s*(setup|file|varies|output|not)", token.content):
                raise PageError(f"{page}:{line}: no comment of this form is known: {token.content.splitlines()[0]}")
            marks.update(said)
    for block in found:
        if "not run" in block.marks and not block.marks["not run"]:
            raise PageError(f"{block.place}: <!-- not run: --> wants a reason")
    return found
