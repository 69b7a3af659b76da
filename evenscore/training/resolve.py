"""Resolving ``auto``: the network that suits the images, and the precision that is fast on this machine."""

from __future__ import annotations

import time
from dataclasses import replace

import torch
from torch import Tensor, nn

from evenscore.configuration import TrainConfig
from evenscore.data import Dataset
from evenscore.errors import UsageError
from evenscore.networks import build_network, require_separable

GAIN = 1.15
"""bfloat16 is chosen where a training step of the network gains at least this factor: it has fewer digits."""


def resolve(config: TrainConfig, data: Dataset) -> TrainConfig:
    """The configuration with every ``auto`` replaced.

    Raises:
        UsageError: an augmentation of images is asked for vectors, or more separate players than memory could hold.
    """
    if data.kind == "vector" and config.augmentation != "none":
        raise UsageError(
            f"augmentation {config.augmentation!r} needs images, but {data.name} holds vectors: use augmentation=none"
        )
    named = replace(config, network=_network(data)) if config.network == "auto" else config
    if named.players == "separate":
        require_separable(named.network, data.shape, data.num_classes)
    return replace(named, precision=_precision(named, data)) if config.precision == "auto" else named


def _network(data: Dataset) -> str:
    """``tiny`` up to 16 pixels a side, ``small`` above; ``base`` on an accelerator."""
    if torch.cuda.is_available() and data.kind == "image":
        return "base"
    return "tiny" if max(data.shape[1:], default=0) <= 16 else "small"


def _precision(config: TrainConfig, data: Dataset) -> str:
    """The quicker precision for this network on this machine, measured."""
    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    if matmul_gain() < GAIN:
        return "float32"
    with torch.random.fork_rng():
        network = build_network(config.network, data.shape, data.num_classes)
    x, y = torch.zeros(config.batch_size, *data.shape), torch.zeros(config.batch_size, dtype=torch.int64)
    plain, half = (_seconds(network, x, y, enabled) for enabled in (False, True))
    return "bfloat16" if plain > GAIN * half else "float32"


def _seconds(network: nn.Module, x: Tensor, y: Tensor, autocast: bool, repeats: int = 3) -> float:
    """Seconds of the quickest of a few forward and backward passes (the first one warms up)."""
    found = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            out = network(x, torch.zeros(len(x)), y)
        out.float().sum().backward()
        found.append(time.perf_counter() - started)
    return min(found[1:])


def matmul_gain(size: int = 1024, repeats: int = 4) -> float:
    """How many times faster the processor multiplies bfloat16 matrices than float32 ones."""
    plain, half = (_matmul_seconds(torch.ones(size, size, dtype=d), repeats) for d in (torch.float32, torch.bfloat16))
    return plain / half


def _matmul_seconds(matrix: Tensor, repeats: int) -> float:
    found = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        matrix @ matrix
        found.append(time.perf_counter() - started)
    return min(found[1:])
