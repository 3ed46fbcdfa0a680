"""Vad: silero-vad's network for 16 kHz, by the names that it has in its safetensors file. vad.hpp is the same in C++.

A set of weights carries two more tensors: `version`, and `checksum`, of the bits of all others.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

RATE_HZ = 16_000
CHUNK = 512
"""Samples that give one probability."""
CONTEXT = 64
"""Samples before a chunk that it is looked at with."""

DATA = files("silero_vad.data")


class Vad(nn.Module):
    version: torch.Tensor
    checksum: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = nn.Conv1d(1, 258, 256, stride=128, bias=False).requires_grad_(False)  # a Fourier transform
        self.conv1 = nn.Conv1d(129, 128, 3, padding=1)
        self.conv2 = nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = nn.Conv1d(64, 128, 3, padding=1)
        self.lstm_cell = nn.LSTMCell(128, 128)
        self.final_conv = nn.Conv1d(128, 1, 1)
        self.register_buffer("version", torch.zeros((), dtype=torch.int64))
        self.register_buffer("checksum", torch.zeros((), dtype=torch.int64))

    def forward(self, streams: torch.Tensor) -> torch.Tensor:
        """The logit of speech in each chunk: of `streams` x samples, `streams` x chunks."""
        chunks = functional.pad(streams, (CONTEXT, 0)).unfold(1, CONTEXT + CHUNK, CHUNK)
        features = self._encode(chunks.reshape(-1, CONTEXT + CHUNK)).view(*chunks.shape[:2], -1)
        state = None
        said = []
        for at in range(features.shape[1]):
            state = self.lstm_cell(features[:, at], state)
            said.append(state[0])
        logits: torch.Tensor = self.final_conv(torch.stack(said, dim=2).relu()).squeeze(1)
        return logits

    def _encode(self, chunks: torch.Tensor) -> torch.Tensor:
        x = functional.pad(chunks.unsqueeze(1), (0, CONTEXT), mode="reflect")
        real, imaginary = self.stft_conv(x).chunk(2, dim=1)
        x = (real.square() + imaginary.square()).sqrt()
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = layer(x).relu()
        features: torch.Tensor = x.squeeze(2)
        return features

    def stamp(self, version: int) -> None:
        """Makes what the weights are now a version."""
        self.version.fill_(version)
        self.checksum.fill_(checksum(self.state_dict()))


def shipped() -> Any:
    """The network as silero-vad ships it, in TorchScript: no code of ours."""
    return torch.jit.load(str(DATA / "silero_vad.jit"))  # type: ignore[no-untyped-call]


# What the parts of the 16 kHz network are called in that file.
_NAMES = {
    "stft_conv.weight": "stft.forward_basis_buffer",
    **{f"conv{i + 1}.{what}": f"encoder.{i}.reparam_conv.{what}" for i in range(4) for what in ("weight", "bias")},
    **{f"lstm_cell.{what}": f"decoder.rnn.{what}" for what in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")},
    **{f"final_conv.{what}": f"decoder.decoder.2.{what}" for what in ("weight", "bias")},
}


def released() -> Vad:
    """The weights that silero-vad ships: version 0."""
    vad = Vad()
    theirs = {**dict(shipped().named_parameters()), **dict(shipped().named_buffers())}
    vad.load_state_dict({ours: theirs[f"_model.{name}"] for ours, name in _NAMES.items()}, strict=False)
    vad.stamp(0)
    return vad


def checksum(tensors: Mapping[str, Any]) -> int:
    """Sums of 32-bit words, tensor by tensor in the order of their names; a signed number of 64 bits."""
    value = 0
    for name in sorted(set(tensors) - {"checksum"}):
        words = tensors[name].detach().numpy().reshape(-1).view(np.uint32)
        value = (value * 1_000_003 + int(words.sum(dtype=np.uint64))) % (1 << 64)
    return value - (1 << 64) if value >> 63 else value
