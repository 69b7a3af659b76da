"""Resolving ``auto``: the network that suits the images, and the precision and memory format that are fast on this machine.

Law: what is resolved is measured on forward and backward passes of the very network, precision and memory format together,
in rounds that take every candidate in turn, within a few seconds; what was given is never changed. A network that is to be
divided may not fit here, so nothing of it is measured: it gets the plain choice.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from evenscore.configuration import TrainConfig
from evenscore.data import Dataset
from evenscore.errors import UsageError
from evenscore.networks import MEMORY_FORMATS, build_network, require_separable

GAIN = 1.15
"""bfloat16 is chosen where a training step of the network gains at least this factor: it has fewer digits."""
FORMAT_GAIN = 1.05
"""``contiguous`` is chosen where it gains at least this factor: below, two measurements would choose differently."""
PLAIN = "channels_last"
PASS, SECONDS, ROUNDS, FEW = 0.4, 4.0, 6, 4
"""Seconds of the longest pass that is measured on a full batch, of all rounds together, most rounds, fewest samples."""


@dataclass(frozen=True)
class Candidate:
    """A precision and a memory format."""

    precision: str
    memory_format: str


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
    candidates = _candidates(named, data)
    known = len(candidates) == 1 or named.shard
    best = candidates[0] if known else quickest(measure(named, data, candidates))
    return replace(named, precision=best.precision, memory_format=best.memory_format)


def unmeasured(config: TrainConfig) -> TrainConfig:
    """The configuration with nothing left that would have to be measured, for checking everything else."""
    precision = "float32" if config.precision == "auto" else config.precision
    return replace(
        config, precision=precision, memory_format=PLAIN if config.memory_format == "auto" else config.memory_format
    )


def chosen(asked: TrainConfig, resolved: TrainConfig) -> str:
    """What was resolved, in words; empty where nothing was left to ``auto``."""
    named = {"network": "network", "precision": "precision", "memory_format": "memory format"}
    words = [
        f"{word} {getattr(resolved, key)}"
        for key, word in named.items()
        if getattr(asked, key) == "auto" != getattr(resolved, key)
    ]
    return f"chosen for these data and this machine: {', '.join(words)}" if words else ""


def _network(data: Dataset) -> str:
    """``tiny`` up to 16 pixels a side, ``small`` above; ``base`` on an accelerator."""
    if torch.cuda.is_available() and data.kind == "image":
        return "base"
    return "tiny" if max(data.shape[1:], default=0) <= 16 else "small"


def _candidates(config: TrainConfig, data: Dataset) -> list[Candidate]:
    """What may be chosen, the plain choice first; one where there is nothing to measure."""
    precisions, formats = [config.precision], [config.memory_format]
    if config.precision == "auto":
        precisions = _precisions()
    if config.memory_format == "auto":
        formats = [PLAIN, *(name for name in MEMORY_FORMATS if name != PLAIN)] if data.kind == "image" else [PLAIN]
    return [Candidate(*pair) for pair in itertools.product(precisions, formats)]


def _precisions() -> list[str]:
    if torch.cuda.is_available():
        return ["bfloat16" if torch.cuda.is_bf16_supported() else "float32"]
    return ["float32"] if matmul_gain() < GAIN else ["float32", "bfloat16"]


def quickest(seconds: Mapping[Candidate, float]) -> Candidate:
    """The candidate to take, of seconds of a step of each: fewer digits or another format only for a gain worth it."""
    best: dict[str, Candidate] = {}
    for candidate in seconds:
        mine = best.setdefault(candidate.precision, candidate)
        if seconds[mine] > FORMAT_GAIN * seconds[candidate]:
            best[candidate.precision] = candidate
    plain, half = best.get("float32"), best.get("bfloat16")
    if plain is None or half is None:
        return next(iter(best.values()))
    return half if seconds[plain] > GAIN * seconds[half] else plain


def measure(config: TrainConfig, data: Dataset, candidates: list[Candidate]) -> dict[Candidate, float]:
    """Seconds of a forward and backward pass with each candidate: the quickest of some rounds but the first.

    The batch is that of the configuration where a pass over it takes less than :data:`PASS`, else as many samples as do.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    networks = {c.memory_format: _built(config, data, c.memory_format).to(device) for c in candidates}

    def once(candidate: Candidate, rows: int) -> float:
        x = torch.zeros(rows, *data.shape, device=device)
        return _seconds(networks[candidate.memory_format], x, candidate.precision == "bfloat16")

    few = min(FEW, config.batch_size)
    longest = max([once(candidate, few) for candidate in [*candidates, *candidates]][len(candidates) :])
    rows = min(config.batch_size, max(few, int(few * PASS / longest)))
    found = [{candidate: once(candidate, rows) for candidate in candidates} for _ in _rounds()]
    return {candidate: min(spent[candidate] for spent in found[1:]) for candidate in candidates}


def _rounds() -> Iterator[int]:
    """At least two rounds, at most :data:`ROUNDS` and one, none begun after :data:`SECONDS`."""
    started = time.perf_counter()
    for i in range(ROUNDS + 1):
        if i < 2 or time.perf_counter() - started < SECONDS:
            yield i


def _built(config: TrainConfig, data: Dataset, memory_format: str) -> nn.Module:
    with torch.random.fork_rng():
        return build_network(config.network, data.shape, data.num_classes, memory_format=memory_format)


def _seconds(network: nn.Module, x: Tensor, autocast: bool) -> float:
    """Seconds of a forward and backward pass."""
    zeros = torch.zeros(len(x), device=x.device)
    started = _clock(x)
    with torch.autocast(x.device.type, torch.bfloat16, enabled=autocast):
        out = network(x, zeros, zeros.long())
    out.float().sum().backward()
    return _clock(x) - started


def _clock(x: Tensor) -> float:
    if x.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter()


def matmul_gain(size: int = 1024, repeats: int = 10) -> float:
    """How many times faster the processor multiplies bfloat16 matrices than float32 ones."""
    plain, half = (_matmul_seconds(torch.ones(size, size, dtype=d), repeats) for d in (torch.float32, torch.bfloat16))
    return plain / half


def _matmul_seconds(matrix: Tensor, repeats: int) -> float:
    found = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        matrix @ matrix
        found.append(time.perf_counter() - started)
    return max(min(found[1:]), 1e-9)
