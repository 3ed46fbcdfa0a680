"""Sizes, counts and times in the words that people read, the same as tensorctl's."""

__all__ = ["age_text", "bytes_text", "count_text", "rate_text", "some"]

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def bytes_text(size_bytes: float) -> str:
    """225 KiB, 1.5 GiB, 100 bytes."""
    unit = 0
    while size_bytes >= 1024 and unit + 1 < len(_UNITS):
        size_bytes /= 1024
        unit += 1
    return f"{size_bytes:.{0 if unit == 0 or size_bytes == int(size_bytes) else 1}f} {_UNITS[unit]}"


def count_text(count: int) -> str:
    """1,234,567."""
    return f"{count:,}"


def some(count: int, noun: str) -> str:
    """1 tensor, 2 tensors."""
    return f"{count_text(count)} {noun}{'' if count == 1 else 's'}"


def rate_text(per_second: float) -> str:
    """1,234/s; below ten with one digit behind the point: 2.5/s."""
    return f"{per_second:,.0f}/s" if per_second >= 10 or per_second == 0 else f"{per_second:.1f}/s"


def age_text(seconds: float) -> str:
    """42 s, 3 min, 5 h, 2 d: the largest unit alone."""
    seconds = max(0.0, seconds)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"
