"""Picture: a spectrogram in characters, low tones below, time to the right."""

import numpy as np
from features import Floats

_SHADES = " .:-=+*#%@"
ROWS, COLUMNS = 12, 72


def draw(log_mel: Floats, speech: Floats) -> list[str]:
    """`log_mel` is frames x bands. Below it, a mark where `speech` says that somebody speaks."""
    small = _shrink(_shrink(log_mel, COLUMNS).T, ROWS)
    # Four orders of magnitude below the loudest are shown.
    levels = np.clip((small - small.max() + 4) / 4, 0, 1) * (len(_SHADES) - 1)
    lines = ["".join(_SHADES[int(level)] for level in row) for row in reversed(levels.round())]
    if len(speech):
        at = np.arange(small.shape[1]) * len(speech) // small.shape[1]
        lines.append("".join("^" if probability > 0.5 else " " for probability in speech[at]))
    return lines


def _shrink(rows: Floats, count: int) -> Floats:
    """Means of neighbouring rows, so that `count` are left, or fewer if there are fewer."""
    parts = np.array_split(rows, min(count, len(rows)))
    return np.array([part.mean(axis=0) for part in parts], np.float32)
