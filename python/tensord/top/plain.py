"""A reading as lines of text."""

from collections.abc import Sequence

from tensord import Waiter
from tensord.top.reading import Rates, Reading
from tensord.top.rows import COLUMNS, Column, Row, processes, sorted_rows, tensor_rows
from tensord.words import age_text, bytes_text, count_text, rate_text, some

__all__ = ["figures", "holding_lines", "lines", "waiter_line", "waiting_lines"]

_ROWS = 30


def lines(reading: Reading, column: Column, descending: bool, rows: int = _ROWS) -> list[str]:
    """Figures, the first tensors, who holds, who waits."""
    shown = figures(reading, None)
    tensors = tensor_rows(reading)
    shown += ["", *_table(sorted_rows(tensors, column, descending)[:rows])]
    if len(tensors) > rows:
        shown.append(f"and {count_text(len(tensors) - rows)} more")
    return [*shown, "", *holding_lines(reading), "", *waiting_lines(reading)]


def figures(reading: Reading, now: Rates | None) -> list[str]:
    """How the store is, in three lines."""
    stats = reading.stats
    apart = [
        some(stats.dying_tensors, "deleted but viewed") if stats.dying_tensors else "",
        f"{count_text(stats.building_tensors)} being built" if stats.building_tensors else "",
    ]
    besides = ", ".join(filter(None, apart))
    published = f"published {count_text(stats.published)} with {bytes_text(stats.published_bytes)}"
    return [
        f"tensord {stats.version}  pid {stats.daemon_pid}  up {age_text(stats.uptime_ms / 1000)}  "
        f"kept by {stats.kept_by}  {reading.socket}",
        f"memory: {bytes_text(stats.used_bytes)} used, of it {bytes_text(stats.dying_bytes)} dying; "
        f"{bytes_text(max(0, stats.limit_bytes - stats.used_bytes))} free of {bytes_text(stats.limit_bytes)}; "
        f"{bytes_text(stats.reserved_bytes)} reserved in {some(stats.segments, 'segment')}",
        f"{some(stats.tensors, 'tensor')}{f' ({besides})' if besides else ''}, "
        f"{some(stats.connections, 'connection')}, "
        + (f"{rate_text(now.puts_per_s)} puts, {bytes_text(now.bytes_per_s)}/s" if now else published),
    ]


def _table(rows: Sequence[Row]) -> list[str]:
    cells = [[column.title for column in COLUMNS], *([column.text(row) for column in COLUMNS] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if column.numeric else cell.ljust(width)
            for cell, width, column in zip(line, widths, COLUMNS, strict=True)
        ).rstrip()
        for line in cells
    ]


def holding_lines(reading: Reading) -> list[str]:
    found = processes(reading)
    if not found:
        return ["nobody holds a tensor"]
    shown = ["who holds"]
    for process in found:
        dying = f", of it {bytes_text(process.dying_bytes)} dying" if process.dying_bytes else ""
        shown.append(
            f"  pid {process.pid} {process.command}: {bytes_text(process.nbytes)}{dying}, "
            f"{some(process.views, 'view')} of {some(process.tensors, 'tensor')}"
        )
    return shown


def waiting_lines(reading: Reading) -> list[str]:
    if not reading.waiters:
        return ["nobody waits"]
    return ["who waits", *(f"  {waiter_line(waiter, reading.now_unix_ns)}" for waiter in reading.waiters)]


def waiter_line(waiter: Waiter, now_unix_ns: int) -> str:
    what = "a version of" if waiter.waits_for == "version" else "the name"
    since = age_text((now_unix_ns - waiter.since_unix_ns) / 1e9)
    return f"pid {waiter.pid} {waiter.command}: {what} {waiter.name}, for {since}"
