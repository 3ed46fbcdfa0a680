"""What the pages say of names, files and numbers that stand in the sources, compared with those."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_files_that_architecture_names_are_there():
    """Words like `daemon/space` name a source file, with or without its ending."""
    words = re.findall(r"`([a-z_]+/[a-z_./]+)`", (ROOT / "docs" / "architecture.md").read_text())
    roots = (ROOT, ROOT / "lib" / "src", ROOT / "lib" / "include")
    endings = ("", ".hpp", ".cpp")
    missing = [word for word in words if not any((root / (word + end)).exists() for root in roots for end in endings)]
    assert words and not missing


def rows_below(page, title):
    """The cells of each row of the first table below a heading, without the marks of code."""
    rows = []
    for line in page[page.index(f"# {title}\n") :].splitlines()[1:]:
        if line.startswith("|"):
            rows.append([cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line.strip("|"))])
        elif rows or line.startswith("#"):
            break
    return rows[2:]


@pytest.fixture
def compile_facts(prefix, tmp_path):
    """Whether static_asserts hold of the internal headers; else what the compiler says."""

    def compile_facts(includes, asserts):
        source = tmp_path / "facts.cpp"
        lines = [f'#include "{include}"' for include in includes]
        source.write_text("\n".join([*lines, "using namespace tensord;", *asserts]) + "\n")
        command = [
            "c++",
            "-std=c++20",
            "-fsyntax-only",
            f"-I{prefix}/include",
            f"-I{ROOT}/lib/src",
            f"-I{ROOT}",
            f"-I{ROOT}/daemon",
            str(source),
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False).stderr

    return compile_facts


def test_memory_layout_has_every_field_where_the_headers_have_it(compile_facts):
    page = (ROOT / "docs" / "memory-layout.md").read_text()
    asserts = []
    for struct in re.findall(r"^### `(\w+)`$", page, re.MULTILINE):
        rows = rows_below(page, f"`{struct}`")
        assert rows
        for offset, size, field, _ in rows:
            asserts.append(f"static_assert(offsetof(shm::{struct}, {field}) == {offset});")
            asserts.append(f"static_assert(sizeof(shm::{struct}::{field}) == {size});")
    said = compile_facts(["shm/catalog.hpp", "shm/ledger.hpp", "shm/live_header.hpp", "cstddef"], asserts)
    assert len(asserts) > 80 and said == ""


def test_protocol_has_every_message_with_its_number_and_size(compile_facts):
    page = (ROOT / "docs" / "protocol.md").read_text()
    rows = rows_below(page, "Messages")
    asserts = []
    for message, number, size, _, reply, reply_size in rows:
        reply = re.match(r"\w+", reply)[0]
        asserts.append(f"static_assert(static_cast<int>(protocol::MessageType::k{message}) == {number});")
        asserts.append(f"static_assert(sizeof(protocol::{message}) == {size});")
        asserts.append(f"static_assert(sizeof(protocol::{reply}) == {reply_size});")
    assert compile_facts(["protocol/messages.hpp"], asserts) == ""
    header = (ROOT / "lib" / "src" / "protocol" / "messages.hpp").read_text()
    enum = header[header.index("enum class MessageType") :]
    in_header = re.findall(r"^  k(\w+) = \d+,", enum[: enum.index("};")], re.MULTILINE)
    assert [row[0] for row in rows] == in_header


def test_configuration_has_every_option_of_tensord_and_its_variable(prefix):
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    shown = subprocess.run([f"{prefix}/bin/tensord", "--help"], capture_output=True, text=True, check=True).stdout
    options = re.findall(r"^  (?:-\w,)?--([\w-]+)[^(\n]*(?:\(Env:(\w+)\))?", shown, re.MULTILINE)
    in_page = {}
    for flags, variable, *_ in rows_below(page, "tensord"):
        for flag in re.findall(r"--([\w-]+)", flags):
            in_page[flag] = variable
    assert len(options) > 15 and in_page == dict(options)


def test_errors_has_every_class_of_both_languages(compile_facts):
    import tensord

    page = (ROOT / "docs" / "reference" / "errors.md").read_text()
    rows = {row[0]: row for row in rows_below(page, "Errors")}
    in_python = {name for name in tensord.errors.__all__ if name != "Error"}
    header = (ROOT / "lib" / "include" / "tensord" / "error.hpp").read_text()
    in_cpp = dict(re.findall(r"using (\w+) = ErrorOf<Errc::(\w+)>;", header))
    assert set(rows) == in_python == set(in_cpp) | {"OutOfRangeError"}
    for name, row in rows.items():
        assert row[2].strip("`") == in_cpp.get(name, "–")
        bases = {base.__name__ for base in getattr(tensord, name).__bases__ if base is not tensord.Error}
        assert {word.strip(" `") for word in row[1].split(",")} == (bases or {"–"}), name


# Choices of the implementation, which nobody meets as a limit: what happens there is that something else is done.
NO_LIMITS = {
    "kMaxFdsPerMessage",
    "kMaxIdleWakes",
    "kMaxNamesBytes",
    "kMaxProbe",
    "kMaxSharedPartOfLimit",
    "kMaxSharedPartOfRoom",
    "kMaxSharedSegmentBytes",
}


def test_the_faq_names_every_limit_with_its_value(compile_facts):
    page = (ROOT / "docs" / "faq.md").read_text()
    limits = {row[2]: row[1].replace(",", "") for row in rows_below(page, "Limits")}
    headers = [path for folder in ("lib", "daemon") for path in (ROOT / folder).rglob("*.hpp")]
    text = "\n".join(path.read_text() for path in headers)
    named = set(re.findall(r"^(?:inline |  static )constexpr [\w:]+ (kMax[A-Z]\w*) =", text, re.MULTILINE))
    in_page = {name.split("::")[-1] for name in limits}
    entries = {"kMaxEntries"}  # of a page of an answer: the next page has the rest
    assert named - NO_LIMITS - entries == {name for name in in_page if name.startswith("kMax")}
    flags = set(re.findall(r'"--(max-[\w-]+)"', (ROOT / "daemon" / "options.cpp").read_text()))
    assert flags and flags <= set(re.findall(r"--(max-[\w-]+)", page))
    asserts = [f"static_assert({name} == {value});" for name, value in limits.items()]
    includes = ["tensord/view.hpp", "shm/catalog.hpp", "shm/ledger.hpp", "protocol/messages.hpp", "daemon/book.hpp"]
    assert compile_facts(includes, asserts) == ""


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_pages_beside_the_site_lead_to_files(name):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / name).read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []
