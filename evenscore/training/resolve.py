"""Resolving ``auto``: the network that suits the images, and the precision that is fast on this machine."""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from evenscore.configuration import TrainConfig
from evenscore.data import Dataset

LARGE = 4.0
"""bfloat16 must multiply matrices this many times faster than float32: the rest of a step gains nothing from it."""


def resolve(config: TrainConfig, data: Dataset) -> TrainConfig:
    """The configuration with every ``auto`` replaced."""
    network = _network(data) if config.network == "auto" else config.network
    precision = fastest_precision() if config.precision == "auto" else config.precision
    return replace(config, network=network, precision=precision)


def _network(data: Dataset) -> str:
    """``tiny`` up to 16 pixels a side, ``small`` above; ``base`` on an accelerator."""
    if torch.cuda.is_available() and data.kind == "image":
        return "base"
    return "tiny" if max(data.shape[1:], default=0) <= 16 else "small"


def fastest_precision(size: int = 768, repeats: int = 5) -> str:
    """``bfloat16`` where the device multiplies such matrices at least LARGE times faster than float32 ones."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    seconds = [_matmul_seconds(torch.ones(size, size, dtype=d), repeats) for d in (torch.float32, torch.bfloat16)]
    return "bfloat16" if seconds[0] > LARGE * seconds[1] else "float32"


def _matmul_seconds(matrix: torch.Tensor, repeats: int) -> float:
    """Seconds of the quickest of a few products (the first one warms up)."""
    found = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        matrix @ matrix
        found.append(time.perf_counter() - started)
    return min(found[1:])
