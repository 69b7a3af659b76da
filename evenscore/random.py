"""Randomness, passed in: one generator per sample and one per training step.

Law: whatever is drawn depends on the seed and on *what it is drawn for* (sample 17, step 400), never on batch size,
number of processes, or what was drawn before. So sample ``i`` is the same alone and in any batch, and a resumed
training run draws what the uninterrupted one would have drawn, without saving generator states.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


def derive_seed(seed: int, *keys: int | str) -> int:
    """A 63-bit seed for the purpose named by ``keys``, well mixed (SHA-256), the same on every machine."""
    text = ":".join(str(k) for k in (seed, *keys))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *keys: int | str) -> torch.Generator:
    """A CPU generator for the purpose named by ``keys``."""
    return torch.Generator().manual_seed(derive_seed(seed, *keys))


class SampleNoise:
    """Noise for a batch in which every sample has a generator of its own.

    ``SampleNoise(seed, indices)(shape)`` draws ``(len(indices), *shape)`` standard normal values; row ``i`` is the next
    draw of the stream that belongs to sample ``indices[i]``, whatever the batch it stands in.
    """

    def __init__(self, seed: int, indices: Sequence[int]) -> None:
        self.generators = [generator(seed, "sample", int(i)) for i in indices]

    def __call__(self, shape: Sequence[int]) -> Tensor:
        return torch.stack([torch.randn(tuple(shape), generator=g) for g in self.generators])


@contextmanager
def seeded_layers(seed: int) -> Iterator[None]:
    """Inside, layers that can only draw from torch's global generator (dropout) draw from ``seed``; outside is untouched."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
