"""Goes through every error message of the sources: each says what to do, and each was seen by a test.

    check.py SEEN

SEEN is what TENSORD_MESSAGES named while the tests ran: a line for each message that anybody was told
(lib/src/os/noted_messages). A message that no test goes through is a test that is missing.
"""

import re
import sys
from pathlib import Path

from sites import ROOT, Site, sites

# Of the family: the others are Python's own, where the standard library says what is to be raised.
FAMILY = frozenset(re.findall(r"using (\w+)Error = ErrorOf", (ROOT / "lib/include/tensord/error.hpp").read_text()))

# What to do stands behind a colon or a semicolon, or the choice is named.
ADVICE = re.compile(
    r"[:;] ?\S|: *$|\bor\b|\bonly\b|\bmust\b|, not\b|It holds|\btry\b|so there is no|are not among|reaches outside"
    r"|\bis \d or \d\b|doctor|\bsince version\b"
)

# Messages that are not seen, each with its reason: no test can go through them, or one does where nobody takes notes.
UNREACHABLE = {
    "are replaced faster than they can be attached": "a thousand publications, each within a microsecond",
    "is replaced faster than it can be attached": "the same",
    "which is the limit: drop some": "2^30 views of one tensor take 64 GiB",
    "this connection holds too many views of one tensor": "the same",
    "cannot receive from the daemon": "the kernel fails no recvmsg() of a connected socket for a test",
    "that namespace is not in the store any more": "it would have to go between two steps of one request",
    "changed meanwhile: try again": "the same",
    "the last free slot of the store was just taken": "the same",
    "cannot open a segment again": "the daemon keeps descriptors back for it",
    "does not take a descriptor to keep": "a service manager that stops reading is one that the daemon is ended by",
    "segments, which is the limit": "16,384 segments are more descriptors than a test may open",
    "namespaces with tensors in them": "each has a segment of its own, and memory for those ends first",
    "cannot make a ledger": "a daemon without descriptors accepts nobody in the first place",
    "a writable buffer of it could only be a copy": "who asks for buffers says something of his own instead",
    "so it would convert the bits to": "said only in a process without ml_dtypes",
    "of a demo with --keep": "by the command, in a process of its own: test_cli_demo",
    "is unknown to this version of the Python module": "module and library are one file",
}


def complaints(messages: list[Site], seen: list[str]) -> list[str]:
    found = [f"no message has this text any more: {text}" for text in UNREACHABLE if not _is_in(text, messages)]
    for site in (site for site in messages if site.error in FAMILY):
        if not ADVICE.search(" … ".join(site.pieces)):
            found.append(f"{site.place}: does not say what to do: {site.text}")
        reason = next((reason for text, reason in UNREACHABLE.items() if text in site.text), None)
        if reason is None and not _was_seen(site, seen):
            found.append(f"{site.place}: no test goes through: {site.text}")
    return found


def _is_in(text: str, messages: list[Site]) -> bool:
    return any(text in site.text for site in messages)


def _was_seen(site: Site, seen: list[str]) -> bool:
    return any(site.matches(message) for message in seen)


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    seen = Path(sys.argv[1]).read_text(errors="replace").splitlines()
    messages = sites()
    found = complaints(messages, seen)
    print("\n".join(found) if found else f"all error messages were seen: {len(seen)} texts of {len(messages)} places")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
