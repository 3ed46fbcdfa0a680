"""A producer of the soak test in Python (see producer.cpp): it owns a range of names, writes down on the scoreboard
what it is about to do, and looks at what others have, with NumPy alone.

Arguments: the daemon's socket, its range, its row of the scoreboard, a seed, and where things are (scoreboard.cpp).
Whatever is wrong, it says so on standard error and ends with an exit code; main.cpp counts it as a fault.
"""

import json
import mmap
import random
import sys
import time

import numpy as np

import tensord

MASK = (1 << 64) - 1
ODD = 0x9E3779B97F4A7C15
HEADER_WORDS = 3
PATIENCE = 2.0  # for others who write, or are stopped while they do


class Wrong(Exception):
    """Something that must not be."""


# ---- content.cpp, in Python ----
def mix(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


def hash_of(name: str) -> int:
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


def words_of(name: str, stamp: int, min_words: int, max_words: int, one_huge_in: int, huge_words: int) -> int:
    draw = mix((hash_of(name) + stamp * ODD) & MASK)
    if one_huge_in and draw % one_huge_in == 0:
        return huge_words
    doublings = (max_words // min_words).bit_length()
    base = min_words << ((draw >> 8) % doublings)
    return min(base + (draw >> 16) % base, max_words)


def fill(words: np.ndarray, name: str, stamp: int, beat: int) -> None:
    key = mix(hash_of(name) ^ mix((stamp * ODD + beat) & MASK))
    pattern = np.arange(HEADER_WORDS, len(words), dtype=np.uint64)
    pattern += np.uint64(key)
    pattern *= np.uint64(ODD)
    words[:HEADER_WORDS] = len(words), stamp, beat  # others may look meanwhile: the stamp never changes
    words[HEADER_WORDS:] = pattern


def content(name: str, stamp: int, length: int, beat: int = 0) -> np.ndarray:
    words = np.empty(length, dtype=np.uint64)
    fill(words, name, stamp, beat)
    return words


def marks_of(words: np.ndarray, name: str) -> tuple[int, int]:
    """The stamp and the beat, if all the rest agrees."""
    if len(words) <= HEADER_WORDS or int(words[0]) != len(words):
        raise Wrong(f"{name} is {len(words)} words long and says {words[:HEADER_WORDS]}")
    stamp, beat = int(words[1]), int(words[2])
    wrong = np.flatnonzero(words != content(name, stamp, len(words), beat))
    if len(wrong):
        raise Wrong(f"{name}, stamp {stamp}, beat {beat}: {len(wrong)} of {len(words)} words wrong, from {wrong[0]} on")
    return stamp, beat


class Board:
    """The scoreboard. Eight bytes at a time, which is one store."""

    def __init__(self, layout: dict, row: int) -> None:
        self.layout = layout
        self.words = memoryview(mmap.mmap(layout["fd"], 0)).cast("Q")
        self.row = layout["workers"] + row * layout["worker_bytes"]
        self.counts = {name: self.row + layout["counts"] + 8 * i for i, name in enumerate(layout["count_names"])}
        self.numbers = {name: i for i, name in enumerate(layout["count_names"])}

    def stopped(self) -> bool:
        return self.words[self.layout["stop"] // 8] != 0

    def begin(self, what: str) -> None:
        self.words[(self.row + self.layout["doing"]) // 8] = self.numbers[what]
        self.words[(self.row + self.layout["progress"]) // 8] += 1

    def count(self, what: str) -> None:
        self.words[self.counts[what] // 8] += 1


class Cell:
    def __init__(self, board: Board, range_: int, index: int) -> None:
        layout = board.layout
        at = layout["cells"] + (range_ * len(layout["sorts"]) + index) * layout["cell_bytes"]
        self.words = board.words
        self.at = {field: (at + offset) // 8 for field, offset in layout["cell"].items()}

    def __getitem__(self, field: str) -> int:
        return self.words[self.at[field]]

    def __setitem__(self, field: str, value: int) -> None:
        self.words[self.at[field]] = value

    def torn(self) -> bool:
        return (
            self["writes_begun"] != self["writes_ended"] or self["python_writes_begun"] != self["python_writes_ended"]
        )


class Producer:
    def __init__(self, socket: str, range_: int, row: int, seed: int, layout: dict) -> None:
        self.socket, self.range = socket, range_
        self.random = random.Random(seed)
        self.layout = layout
        self.board = Board(layout, row)
        self.cells = [Cell(self.board, range_, i) for i in range(len(layout["sorts"]))]
        self.prefix = self.prefix_of(range_)
        self.held: list[tuple[str, int, np.ndarray]] = []
        self.bound = 0
        self.begin_life()

    def prefix_of(self, range_: int) -> str:
        return f"soak{range_ // 2}/{range_}/"

    def names(self, range_: int, index: int) -> list[str]:
        sort, members, *_ = self.layout["sorts"][index]
        name = f"{self.prefix_of(range_)}{index}"
        return [f"{name}/{i}" for i in range(members)] if sort == "batch" else [name]

    def length(self, name: str, stamp: int, index: int) -> int:
        return words_of(name, stamp, *self.layout["sorts"][index][2:], self.layout["huge_words"])

    # ---- a life is a connection ----
    def begin_life(self) -> None:
        self.board.begin("connect")
        self.store = tensord.connect(self.socket, start=False)
        self.board.count("connect")
        self.board.begin("resolve a doubt")
        life = self.layout["lives"] // 8 + self.range
        before = self.board.words[life]
        if before:
            self.await_end_of(f"{self.prefix}bound/{before}/")
        self.board.words[life] = before + 1
        self.bound_prefix = f"{self.prefix}bound/{before + 1}/"
        self.put_bound()
        for i in range(len(self.cells)):
            self.look(self.range, i, settling=True)
        self.board.count("resolve a doubt")

    def await_end_of(self, prefix: str) -> None:
        deadline = time.monotonic() + 60
        while prefix + "0" in self.store:
            if time.monotonic() > deadline:
                raise Wrong(f"{prefix}0 outlived its client")
            if self.board.stopped():
                return
            self.board.begin("resolve a doubt")
            time.sleep(0.001)
        left = self.store.names(prefix)
        if left and not self.board.stopped():
            raise Wrong(f"{left[0]} is there without its client")

    def begin_again(self) -> None:
        self.held.clear()
        self.bound = 0
        self.store.close()
        self.begin_life()

    # ---- looking ----
    def look(self, range_: int, index: int, settling: bool = False) -> None:
        """Attaches, checks every byte, and in its own range also that it is what must be there."""
        names = self.names(range_, index)
        what = "attach" if len(names) == 1 else "attach_many"
        self.board.begin(what)
        live = self.layout["sorts"][index][0] == "live"
        try:
            views = self.store.attach_many(names) if len(names) > 1 else {names[0]: self.store.attach(names[0])}
            stamps = {int(view.numpy()[1]) if live else marks_of(view.numpy(), name)[0] for name, view in views.items()}
            self.board.count(what)
        except tensord.NotFoundError:
            views, stamps = {}, {0}
            self.board.count("not found")
        if len(stamps) > 1:
            raise Wrong(f"a batch is seen in parts: {names[0]} and others of stamps {stamps}")
        stamp = stamps.pop()
        if range_ == self.range:
            cell = self.cells[index]
            in_doubt = cell["sequence"] % 2 == 1
            if stamp != cell["now"] and not (in_doubt and stamp == cell["next"]):
                raise Wrong(
                    f"{names[0]}: saw stamp {stamp}, but {cell['now']} was there (next {cell['next']}, "
                    f"sequence {cell['sequence']})"
                )
            if in_doubt and settling:
                cell["now"] = stamp
                cell["sequence"] += 1
        if views and not live:
            name = self.random.choice(names)
            self.keep(name, stamp, views[name].numpy())

    def keep(self, name: str, stamp: int, array: np.ndarray) -> None:
        if len(self.held) >= 8:
            self.random.shuffle(self.held)
            del self.held[self.random.randrange(8) :]
        self.held.append((name, stamp, array))

    def look_again(self) -> None:
        if not self.held:
            return
        self.board.begin("verify")
        name, stamp, array = self.random.choice(self.held)
        if marks_of(array, name) != (stamp, 0):
            raise Wrong(f"a view of {name} changed under its holder, who had stamp {stamp}")
        self.board.count("verify")

    # ---- changing what it owns ----
    def change(self, index: int, stamp: int, what: str, act) -> None:
        cell = self.cells[index]
        self.board.begin(what)
        cell["next"] = stamp
        if stamp:
            cell["last_stamp"] = stamp
        cell["sequence"] += 1
        try:
            act()
            cell["now"] = stamp
            self.board.count(what)
        except tensord.OutOfSpaceError:
            self.board.count("out of space")
        cell["sequence"] += 1

    def put_bound(self) -> None:
        name = f"{self.bound_prefix}{self.bound}"
        self.board.begin("put bound to its client")
        length = words_of(name, self.bound + 1, HEADER_WORDS + 1, self.layout["bound_words"], 0, 0)
        try:
            self.store.put(name, content(name, self.bound + 1, length), lifetime="client")
            self.bound += 1
            self.board.count("put bound to its client")
        except tensord.OutOfSpaceError:
            self.board.count("out of space")
            if self.bound == 0:
                raise

    def work_on(self, index: int) -> None:
        sort = self.layout["sorts"][index][0]
        names, cell = self.names(self.range, index), self.cells[index]
        there, stamp = cell["now"] != 0, cell["last_stamp"] + 1
        name = names[0]
        if sort == "batch":
            arrays = {n: content(n, stamp, self.length(n, stamp, index)) for n in names}
            return self.change(index, stamp, "put_many", lambda: self.store.put_many(arrays, replace=True))
        if there and self.random.random() < 0.25:
            return self.change(index, 0, "delete", lambda: self.store.delete(name))
        length = self.length(name, stamp, index)
        live = sort == "live"
        if self.random.random() < 0.3:

            def build() -> None:
                with self.store.build(name, length, "uint64", replace=there, live=live) as view:
                    fill(view.numpy(), name, stamp, 0)

            return self.change(index, stamp, "build", build)
        array = content(name, stamp, length)
        self.change(
            index, stamp, "replace" if there else "put", lambda: self.store.put(name, array, replace=there, live=live)
        )

    # ---- live tensors, of its own ----
    def write(self, index: int) -> None:
        name, cell = self.names(self.range, index)[0], self.cells[index]
        self.board.begin("write")
        try:
            view = self.store.attach(name, "r+")
        except tensord.NotFoundError:
            return self.board.count("not found")
        try:
            try:
                self.write_once(cell, view, name, repair=False)
                self.board.count("write")
            except tensord.TornWriteError:
                self.board.count("torn")
                if not cell.torn():
                    raise Wrong(f"{name} is torn, although no writer died") from None
                self.write_once(cell, view, name, repair=True)
                self.board.count("repair")
        except tensord.TimeoutError:
            self.board.count("timeout")

    def write_once(self, cell: Cell, view: tensord.View, name: str, repair: bool) -> None:
        cell["python_writes_begun"] += 1
        try:
            with view.writing(timeout=PATIENCE, repair=repair):
                words = view.numpy()
                fill(words, name, int(words[1]), int(words[2]) + 1)
        except (tensord.TornWriteError, tensord.TimeoutError):
            cell["python_writes_ended"] += 1
            raise
        cell["python_writes_ended"] += 1

    def read(self, index: int) -> None:
        name, cell = self.names(self.range, index)[0], self.cells[index]
        self.board.begin("read")
        try:
            view = self.store.attach(name)
            version = view.version
            snapshot = view.read(timeout=PATIENCE)
            marks_of(snapshot.array, name)
            if snapshot.version < version:
                raise Wrong(f"{name} went back from version {version} to {snapshot.version}")
            self.board.count("read")
        except tensord.NotFoundError:
            self.board.count("not found")
        except tensord.TimeoutError:
            self.board.count("timeout")
        except tensord.TornWriteError:
            self.board.count("torn")
            if not cell.torn():
                raise Wrong(f"{name} is torn, although no writer died") from None

    def step(self) -> None:
        index = self.random.randrange(len(self.cells))
        live = self.layout["sorts"][index][0] == "live"
        draw = self.random.random()
        if draw < 0.1:
            self.look_again()
        elif draw < 0.3:
            self.look(self.random.randrange(self.layout["ranges"]), index)
        elif draw < 0.35:
            self.put_bound()
        elif draw < 0.36:
            self.begin_again()
        elif live and draw < 0.6:
            self.write(index)
        elif live and draw < 0.8:
            self.read(index)
        else:
            self.work_on(index)
        if self.random.random() < 0.25:
            time.sleep(self.random.random() * 0.0004)


def main() -> None:
    socket, range_, row, seed, layout = sys.argv[1:]
    producer = Producer(socket, int(range_), int(row), int(seed), json.loads(layout))
    while not producer.board.stopped():
        producer.step()
    producer.held.clear()


if __name__ == "__main__":
    main()
