"""How quick a training step is: beside the loop that one writes with diffusers and accelerate, and beside the machine's peak.

Both sides train the same network on the same images with the same batch, in one process with two threads. Every kind of step
takes its turn in every round, in an order that turns round; a ratio is the median over rounds of the ratio inside a round, so
what slows the machine for a while slows both. Seconds are those of the clock: run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.plain_loop import plain_step
from benchmarks.runner import Outcome
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset
from evenscore.errors import EvenscoreError
from evenscore.run import DataCard, Run
from evenscore.training import Trainer
from evenscore.training.resolve import Candidate, resolve

SUMMARY = (
    "Training step against a loop of diffusers and accelerate: at least 1.0 times its speed at float32, 1.3 at defaults"
)
SIZES = {"tiny": 16, "small": 32}
"""Network, and side of its images (of three channels) in pixels."""
THREADS, CLASSES, IMAGES = 2, 10, 1024
EQUAL, DEFAULT = 1.0, 1.3
"""Bounds of the ratios."""
RATIOS: Mapping[str, tuple[str, str, float]] = {
    "at float32": ("plain float32", "ours float32", EQUAL),
    "our defaults against its default, float32": ("plain float32", "ours default", DEFAULT),
    "our defaults against it at the same precision": ("plain same", "ours default", DEFAULT),
}
"""What is divided by what, and the least ratio."""


ALSO: Mapping[str, Mapping[str, Any]] = {"compiled": {"compile": True}, "recomputed": {"checkpoint_activations": True}}
"""Steps that are timed when asked, for information, and what they change of the defaults."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--also", nargs="+", choices=tuple(ALSO), default=[], help="time these settings too, unbounded")
    parser.add_argument("--sizes", nargs="+", choices=tuple(SIZES), default=list(SIZES), help="networks to measure")
    parser.add_argument("--rounds", type=int, default=15, help="timed rounds, every kind of step once in each")
    parser.add_argument("--batch", type=int, default=64, help="samples per step")
    parser.add_argument("--quick", action="store_true", help="three rounds, batches of eight, images half as large")


def run(args: argparse.Namespace) -> Outcome:
    """Time all kinds of step on each network."""
    torch.set_num_threads(THREADS)
    values: dict[str, dict[str, Any]] = {}
    for network in args.sizes:
        side = SIZES[network] // (2 if args.quick else 1)
        batch, rounds = (8, 3) if args.quick else (args.batch, args.rounds)
        values[network] = measured(network, side, batch, rounds, args.also)
        print(f"{network}: {values[network]}", flush=True)
    limits = {name: least for name, (_, _, least) in RATIOS.items()}
    holds = all(values[network]["times as fast"][name] >= least for network in values for name, least in limits.items())
    return Outcome(values, {network: {"times as fast": limits} for network in values}, holds)


def measured(network: str, side: int, batch: int, rounds: int, also: Sequence[str] = ()) -> dict[str, Any]:
    """Everything about one network."""
    data = images(side)
    with tempfile.TemporaryDirectory() as folder:
        ours = {name: trainer(name, data, network, batch, Path(folder)) for name in ("float32", "default")}
        chosen = ours["default"].config
        for name in also:
            ours[name] = started(name, data, replace(chosen, **ALSO[name]), Path(folder))
        plain = {name: plain_step(data, network, batch, name) for name in {"float32", chosen.precision}}
        same = sum(p.numel() for p in ours["float32"].model.parameters())
        if any(count != same for _, count in plain.values()):
            raise EvenscoreError(f"the networks differ: {same} parameters here, {plain} there")
        steps: dict[str, Callable[[], object]] = {f"ours {name}": made.one_step for name, made in ours.items()}
        steps |= {f"plain {name}": step for name, (step, _) in plain.items()}
        first = {name: seconds_of(ours[name].one_step) for name in also}
        before = gemm_rates()
        spent = interleaved(steps, rounds)
        rates = {name: max(rate, before[name]) for name, rate in gemm_rates().items()}
        flops = flops_of(ours["float32"])
    seconds = {name: median(each[name] for each in spent) for name in steps}
    named = {name: name.replace("same", chosen.precision) for pair in RATIOS.values() for name in pair[:2]}
    return {
        "times as fast": {
            name: median(each[named[above]] / each[named[below]] for each in spent)
            for name, (above, below, _) in RATIOS.items()
        },
        "defaults": asdict(Candidate(chosen.precision, chosen.memory_format)),
        "ms per step": {name: 1000 * value for name, value in seconds.items()},
        "parameters": same,
        "GFLOP per step": flops / 1e9,
        "GFLOP/s of matrix products": {name: rate / 1e9 for name, rate in rates.items()},
        "share of that rate": {
            name: flops / value / rates[name.split()[1] if name.split()[1] in rates else chosen.precision]
            for name, value in seconds.items()
        },
        "seconds of the first step": first,
    }


def images(side: int) -> Dataset:
    """Images of noise in ten classes."""
    random = np.random.default_rng(0)
    return Dataset.from_arrays(
        random.integers(0, 256, (IMAGES, side, side, 3), dtype=np.uint8), np.arange(IMAGES) % CLASSES
    )


def trainer(name: str, data: Dataset, network: str, batch: int, folder: Path) -> Trainer:
    """Training with everything left to ``auto`` (``default``), or all but the precision."""
    asked = TrainConfig(network=network, batch_size=batch, steps=100_000)
    config = resolve(asked if name == "default" else replace(asked, precision=name), data)
    return started(name, data, config, folder)


def started(name: str, data: Dataset, config: TrainConfig, folder: Path) -> Trainer:
    """Training with a complete configuration."""
    return Trainer(Run.create(folder / name, config, DataCard.of(data)), data)


def interleaved(steps: Mapping[str, Callable[[], object]], rounds: int) -> list[dict[str, float]]:
    """Seconds of every kind of step in every round, in an order that turns round, after two rounds to warm up."""
    found = []
    for i in range(rounds + 2):
        spent = {}
        for name in list(steps) if i % 2 else reversed(steps):
            spent[name] = seconds_of(steps[name])
        found.append(spent)
    return found[2:]


def seconds_of(step: Callable[[], object]) -> float:
    """What the clock says of a step."""
    begun = time.perf_counter()
    step()
    return time.perf_counter() - begun


def gemm_rates(size: int = 1024, repeats: int = 20) -> dict[str, float]:
    """Operations a second of a product of square matrices in each precision, the best of some."""
    rates = {}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        matrix, best = torch.ones(size, size, dtype=dtype), float("inf")
        for _ in range(repeats):
            best = min(best, seconds_of(partial(torch.mm, matrix, matrix)))
        rates[name] = 2 * size**3 / best
    return rates


def flops_of(made: Trainer) -> int:
    """Operations of the matrix products and convolutions of a step, forward and backward."""
    with FlopCounterMode(display=False) as counter:
        made.one_step()
    return int(counter.get_total_flops())
