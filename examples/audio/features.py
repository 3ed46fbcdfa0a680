"""Features: what one computes from audio as it comes: loudness, a log-mel spectrogram, and whether somebody speaks.

Each is fed with blocks of any length, and gives what it can say by then; what it gives in all does not depend on how
the samples were cut into blocks.
"""

from typing import Any, Protocol

import numpy as np
import torch

Floats = np.ndarray[Any, np.dtype[np.float32]]

MELS = 40
WINDOW_S, HOP_S = 0.025, 0.010
FLOOR = 1e-10

SPEECH_RATE_HZ = 16_000
SPEECH_CHUNK = 512


class _Chunks:
    """Cuts a stream into windows of `size` that begin every `step` samples."""

    def __init__(self, size: int, step: int) -> None:
        self._size, self._step = size, step
        self._rest: Floats = np.empty(0, np.float32)

    def feed(self, samples: Floats) -> Floats:
        """Those that are complete by now: windows x size."""
        there = np.concatenate([self._rest, samples])
        count = max(0, (len(there) - self._size) // self._step + 1)
        self._rest = there[count * self._step :]
        windows = [there[start : start + self._size] for start in range(0, count * self._step, self._step)]
        return np.array(windows, np.float32).reshape(count, self._size)


class LogMel:
    """The logarithm of the energy in bands that are spaced as the ear hears them: MELS numbers every 10 ms."""

    def __init__(self, rate_hz: int) -> None:
        size = round(rate_hz * WINDOW_S)
        self._chunks = _Chunks(size, round(rate_hz * HOP_S))
        self._window = np.hanning(size).astype(np.float32)
        self._bands = _mel_bands(rate_hz, size)

    def feed(self, samples: Floats) -> Floats:
        power = np.abs(np.fft.rfft(self._chunks.feed(samples) * self._window)) ** 2
        result: Floats = np.log10(power @ self._bands + FLOOR).astype(np.float32)
        return result


def _mel_bands(rate_hz: int, size: int) -> Floats:
    """Triangles over the bins of an FFT of `size` samples: bins x MELS."""
    highest = 2595 * np.log10(1 + min(rate_hz / 2, 8000) / 700)
    edges = 700 * (10 ** (np.linspace(0, highest, MELS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(size, 1 / rate_hz)[:, np.newaxis]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


class _Model(Protocol):
    def __call__(self, samples: torch.Tensor, rate_hz: int) -> torch.Tensor: ...
    def reset_states(self) -> None: ...


class Speech:
    """The probability of speech, every 32 ms, by the network of silero-vad."""

    def __init__(self, rate_hz: int, model: _Model) -> None:
        if not Speech.knows(rate_hz):
            raise ValueError(f"silero-vad takes multiples of {SPEECH_RATE_HZ} Hz, not {rate_hz} Hz")
        step = rate_hz // SPEECH_RATE_HZ
        self._chunks = _Chunks(SPEECH_CHUNK * step, SPEECH_CHUNK * step)
        self._step, self._model = step, model
        model.reset_states()

    @staticmethod
    def knows(rate_hz: int) -> bool:
        return rate_hz % SPEECH_RATE_HZ == 0

    def feed(self, samples: Floats) -> Floats:
        # Every n-th sample, as silero-vad itself does it.
        chunks = torch.from_numpy(np.ascontiguousarray(self._chunks.feed(samples)[:, :: self._step]))
        with torch.inference_mode():
            said = [self._model(chunk, SPEECH_RATE_HZ).item() for chunk in chunks]
        return np.array(said, np.float32)


def decibels(samples: Floats) -> float:
    """Of the mean power; a sine wave as loud as possible has -3."""
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + FLOOR)) if samples.size else -100.0
