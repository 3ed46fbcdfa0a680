"""What is measured, and how often."""

from dataclasses import dataclass, field
from typing import Any

KIB, MIB = 1 << 10, 1 << 20

METHODS = ("attach", "attach_torch", "put", "handoff", "fresh", "hold", "attach_among", "put_beside")


@dataclass(frozen=True)
class Question:
    method: str  # of host.Host
    title: str
    arguments: dict[str, Any]
    rounds: int
    # How long one round of one peer should take; decides how often it does the thing in that time.
    round_s: float = 0.01
    most_operations: int = 1
    # How often each peer does it before that counts: in one call, and in how many calls.
    warm_up: tuple[int, int] = (1, 2)
    # Where one answer has several figures: the key of each, and its title.
    figures: dict[str, str] = field(default_factory=dict)
    # One peer after the other, because all at once would need too much memory.
    alone: bool = False
    # A point of a curve (plots.py), which would be one column too many in a table.
    growth: bool = False

    @property
    def counts_operations(self) -> bool:
        return self.method not in ("fresh", "hold")


def human_bytes(size_bytes: int) -> str:
    for unit, size in (("GiB", 1 << 30), ("MiB", MIB), ("KiB", KIB)):
        if size_bytes >= size:
            return f"{size_bytes // size} {unit}"
    return f"{size_bytes} bytes"


def questions(small: bool = False) -> list[Question]:
    """The whole list; a small one asks all of it as little as possible."""
    scale = (2, 20, 1 * MIB, 5) if small else (15, 10_000, 64 * MIB, 10_000)
    return [*main_questions(*scale), *growth_questions(small)]


def growth_questions(small: bool) -> list[Question]:
    """The points of the curves; the sizes of the main questions are points of them, too."""
    asked = []
    rounds = 2 if small else 5
    # How many fit into a moment, at most.
    put_sizes = {64: 200, 1 * KIB: 200, 16 * KIB: 200, 256 * KIB: 20, 16 * MIB: 2, 256 * MIB: 1, 1 << 30: 1}
    for size, operations in put_sizes.items():
        if small and size > 1 * KIB:
            break
        asked.append(
            Question(
                "put",
                f"put under a new name: {human_bytes(size)}",
                {"size_bytes": size},
                rounds if size <= 16 * MIB else 3,
                most_operations=5 if small else operations,
                warm_up=(5, 2) if small else (operations, -(-12 // operations) if size <= 16 * MIB else 2),
                alone=size > 64 * MIB,
                growth=True,
            )
        )
    for size in (64,) if small else (64, 4 * KIB, 64 * KIB, 16 * MIB, 64 * MIB):
        asked.append(
            Question(
                "handoff",
                f"hand-off of {human_bytes(size)}, after a pause of 2 ms",
                {"size_bytes": size, "pause_s": 0.002},
                rounds,
                round_s=0.05,
                most_operations=2 if small else 10,
                warm_up=(2, 1) if small else (4, 2),
                growth=True,
            )
        )
    for connections in (2,) if small else (1, 10, 100, 1_000):
        asked.append(
            Question(
                "put_beside",
                f"put of 4 KiB under a new name: {connections:,} connections open",
                {"connections": connections, "size_bytes": 4 * KIB},
                rounds,
                most_operations=5 if small else 100,
                warm_up=(5, 2),
                growth=True,
            )
        )
    # Last, because what it stores stays.
    for tensors in (1, 10) if small else (1, 100, 10_000, 60_000):
        asked.append(
            Question(
                "attach_among",
                f"attach, ndarray, drop: among {tensors:,}",
                {"tensors": tensors, "size_bytes": 256},
                rounds,
                most_operations=min(1_000, tensors),
                growth=True,
            )
        )
    return asked


def main_questions(rounds: int, tensors: int, largest: int, most_operations: int) -> list[Question]:
    """The columns of the tables; `largest` is the size of the large tensors, in bytes."""
    sizes = [4 * KIB, 1 * MIB, largest]
    few = max(1, rounds // 3)
    asked = [
        Question(
            "attach",
            f"attach, ndarray, drop: {human_bytes(size)}",
            {"size_bytes": size},
            rounds,
            most_operations=min(10_000, most_operations),
        )
        for size in sizes
    ]
    asked.append(
        Question(
            "attach_torch",
            "attach, torch.Tensor, drop: 4 KiB",
            {"size_bytes": 4 * KIB},
            rounds,
            most_operations=min(10_000, most_operations),
        )
    )
    asked += [
        Question(
            "put",
            f"put under a new name: {human_bytes(size)}",
            {"size_bytes": size},
            rounds,
            # 10 before it counts: as many places as a peer may go round in.
            most_operations=operations,
            warm_up=(operations, -(-12 // operations)),
        )
        for size, operations in zip(sizes, (min(200, most_operations), min(10, most_operations), 1), strict=True)
    ]
    asked.append(
        Question(
            "put",
            "put of 4 KiB after a pause of 2 ms",
            {"size_bytes": 4 * KIB, "pause_s": 0.002},
            rounds,
            most_operations=min(10, most_operations),
            warm_up=(min(10, most_operations), 1),
        )
    )
    asked += [
        Question(
            "handoff",
            f"hand-off of 1 MiB, {how}",
            {"size_bytes": MIB, "pause_s": pause_s},
            rounds,
            round_s=0.05,
            most_operations=min(20, most_operations),
            warm_up=(min(20, most_operations), 2),
        )
        for how, pause_s in (("after a pause of 2 ms", 0.002), ("one at once after the other", 0))
    ]
    asked.append(
        Question(
            "fresh",
            "in a new process",
            {"first_bytes": 4 * KIB, "touched_bytes": largest},
            few,
            warm_up=(1, 1),
            figures={
                "first": "connect and attach 4 KiB, in a new process",
                "touch": f"attach {human_bytes(largest)} and touch each page, in a new process",
            },
        )
    )
    asked.append(
        Question(
            "hold",
            f"{tensors:,} tensors of 4 KiB held at once",
            {"tensors": tensors, "size_bytes": 4 * KIB},
            rounds=1,
            warm_up=(1, 0),
        )
    )
    return asked
