"""What is measured, and how often."""

from dataclasses import dataclass, field
from typing import Any

KIB, MIB = 1 << 10, 1 << 20

METHODS = ("attach", "attach_torch", "put", "handoff", "fresh", "hold")


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

    @property
    def counts_operations(self) -> bool:
        return self.method not in ("fresh", "hold")


def human_bytes(size_bytes: int) -> str:
    return f"{size_bytes // MIB} MiB" if size_bytes >= MIB else f"{size_bytes // KIB} KiB"


def questions(rounds: int, tensors: int, largest: int, most_operations: int) -> list[Question]:
    """The whole list; `largest` is the size of the large tensors, in bytes. Less of everything is for trying out."""
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
