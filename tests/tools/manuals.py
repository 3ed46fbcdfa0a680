"""Do the manual pages say what the programs' --help says? Every command, every option, in both directions; and
does groff make them without a warning?

    manuals.py TENSORD TENSORCTL
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

PAGES = Path(__file__).resolve().parents[2] / "docs" / "man"


def help_of(*command: str) -> str:
    return subprocess.run([*command, "--help"], check=True, capture_output=True, text=True).stdout


def options_in_help(text: str) -> set[str]:
    lines = re.findall(r"^  (-\S+)", text, re.MULTILINE)
    return {option for line in lines for option in line.split(",")}


def commands_in_help(text: str) -> set[str]:
    listed = text.partition("Subcommands:\n")[2].partition("\n\n")[0]
    return set(re.findall(r"^  (\S+)", listed, re.MULTILINE))


def options_in_page(text: str) -> set[str]:
    entries = re.findall(r"^\*-.*", text, re.MULTILINE)  # "*-r*, *--reverse*", "*--sort* _BY_"
    return {option for entry in entries for option in re.findall(r"\*(-[^*]+)\*", entry)}


def check(what: str, in_help: set[str], in_page: set[str]) -> None:
    if in_help != in_page:
        raise SystemExit(
            f"{what}: --help alone has {sorted(in_help - in_page)}, the page alone {sorted(in_page - in_help)}"
        )
    print(f"{what}: {len(in_help)} in --help and in the page")


def check_tensorctl(program: str) -> None:
    page = (PAGES / "tensorctl.1.scd").read_text()
    before, _, commands = page.partition("\n# COMMANDS\n")
    commands = commands.partition("\n# ")[0]
    shared = options_in_page(before)
    check("options of tensorctl", options_in_help(help_of(program)), shared)
    sections = {section.split()[0]: section for section in commands.split("\n## ")[1:]}
    check("commands of tensorctl", commands_in_help(help_of(program)), set(sections))
    for name, section in sections.items():
        own = options_in_help(help_of(program, name)) - shared
        check(f"options of tensorctl {name}", own, options_in_page(section))


def check_formatting(page: Path) -> None:
    if not (shutil.which("scdoc") and shutil.which("groff")):
        print(f"{page.name}: not formatted, for there is no scdoc or no groff")
        return
    made = subprocess.run(["scdoc"], input=page.read_bytes(), check=True, capture_output=True).stdout
    shown = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z"], input=made, capture_output=True)
    if shown.returncode or shown.stderr:
        raise SystemExit(f"groff says of {page.name}: {shown.stderr.decode()}")
    print(f"{page.name}: formatted without a warning")


def main() -> None:
    tensord, tensorctl = sys.argv[1:]
    check(
        "options of tensord", options_in_help(help_of(tensord)), options_in_page((PAGES / "tensord.1.scd").read_text())
    )
    check_tensorctl(tensorctl)
    for page in sorted(PAGES.glob("*.scd")):
        check_formatting(page)


if __name__ == "__main__":
    main()
