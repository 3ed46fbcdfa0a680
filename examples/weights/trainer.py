"""Trainer: teaches silero-vad to hear voices in noise, and publishes the weights after each step.

    trainer.py LAST_VERSION OUTPUTS

It goes on from the version that is in the store, whoever put it there: after a crash, from where it was. Plain SGD
keeps no state of its own, so the store has all that there is. What it begins with and every tenth version say of the
clean streams, and how well they hear the noisy ones, goes into the folder OUTPUTS, for `run`.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from vad import CHUNK, Vad, released

import tensord

NOISE = "Noise"
NOISE_GAIN = 4.0
"""Then it is as loud as the voices."""
LEARNING_RATE = 0.03
STREAMS_PER_STEP, CHUNKS_PER_STEP = 3, 12
TELL_EVERY = 10


class Lessons:
    """Voices, the same in noise, and what is to be said of them: what the shipped weights say of the clean ones."""

    def __init__(self, store: tensord.Store) -> None:
        streams = {name: store[name].clone(torch=True) for name in store.names("speech/")}
        noise = streams.pop(f"speech/{NOISE}")
        self.clean = _pad([*streams.values(), noise])
        voices = self.clean[:-1]
        louder = noise.repeat(2)[: voices.shape[1]] * NOISE_GAIN
        self.noisy = voices + torch.stack([louder.roll(1000 * index) for index in range(len(voices))])
        with torch.no_grad():
            self.wanted = released()(voices).sigmoid()

    def loss(self, vad: Vad, random: np.random.Generator | None = None) -> torch.Tensor:
        """Of all that there is, or of a few pieces."""
        if random is None:
            return functional.binary_cross_entropy_with_logits(vad(self.noisy), self.wanted)
        chosen = random.permutation(len(self.noisy))[:STREAMS_PER_STEP]
        first = int(random.integers(self.wanted.shape[1] - CHUNKS_PER_STEP + 1))
        pieces = self.noisy[chosen, first * CHUNK : (first + CHUNKS_PER_STEP) * CHUNK]
        wanted = self.wanted[chosen, first : first + CHUNKS_PER_STEP]
        return functional.binary_cross_entropy_with_logits(vad(pieces), wanted)


def main(last_version: str, outputs: str) -> None:
    torch.set_num_threads(1)  # the server needs the other core
    store = tensord.connect(start=False)
    lessons = Lessons(store)
    vad = Vad()
    vad.load_state_dict(store.state_dict("vad"))
    optimizer = torch.optim.SGD([p for p in vad.parameters() if p.requires_grad], LEARNING_RATE)
    first = int(vad.version) + 1

    def tell() -> None:
        version = int(vad.version)
        with torch.inference_mode():
            loss = float(lessons.loss(vad))
            np.savez(Path(outputs) / f"{version}.npz", loss=loss, speech=vad(lessons.clean).sigmoid().numpy())
        print(f"version {version:4}  loss {loss:.3f}", flush=True)

    tell()
    for version in range(first, int(last_version) + 1):
        optimizer.zero_grad()
        lessons.loss(vad, np.random.default_rng(version)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        vad.stamp(version)
        if version % TELL_EVERY == 0:
            tell()
        store.put_state_dict("vad", vad, replace=True)  # all tensors of it, or none


def _pad(streams: list[torch.Tensor]) -> torch.Tensor:
    """Streams x samples, with silence at the ends."""
    length = max(len(stream) for stream in streams)
    return torch.stack([functional.pad(stream, (0, length - len(stream))) for stream in streams])


if __name__ == "__main__":
    main(*sys.argv[1:])
