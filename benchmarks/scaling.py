"""Two processes of one thread against one process of one thread: throughput of training and sampling, and equal results.

The speed-up is the median, over turns, of the time of one process over that of two (:mod:`benchmarks.turns`), with an interval
from its order statistics. Beside it stands that of two processes that do half the work each and exchange nothing, which is what
the machine gives.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import quantile_test

from benchmarks.interrupted import differences_of_folders, finish, surroundings
from benchmarks.runner import Outcome
from evenscore.run import Run

SUMMARY = (
    "two processes train and sample at least 1.8 times as fast as one, with one thread each; losses and samples agree"
)
BOUND = 1.8
TOLERANCE = 1e-4
"""Largest relative difference of the losses of a report."""
DATA = "digits:factor=50,size=16"
TURNS = "benchmarks.turns"
"""What the two processes run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--turns", type=int, default=24, help="how often each kind of work is timed in each way")
    parser.add_argument("--steps", type=int, default=3, help="training steps that are timed at once")
    parser.add_argument(
        "--batches", type=int, default=1, help="batches of samples of each process that are timed at once"
    )
    parser.add_argument("--network", default="small", help="network that is timed")
    parser.add_argument("--batch-size", type=int, default=128, help="samples of a training step")


def run(args: argparse.Namespace) -> Outcome:
    """Compare the results of both on a short run, then time both in turns."""
    data = args.data or DATA
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        equal = agreement(folder, data)
        times = timed(folder, data, args)
    values = {kind: gain(found) for kind, found in times.items()}
    fast = min(found["speed-up"] for found in values.values()) >= BOUND
    bound = {
        **{kind: {"speed-up": f">= {BOUND}"} for kind in values},
        "loss difference": f"< {TOLERANCE}",
        "files that differ": 0,
    }
    same = equal["loss difference"] < TOLERANCE and not equal["files that differ"]
    return Outcome({**values, **equal}, bound, fast and same)


def gain(seconds: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Medians over turns of the time of one process over that of the other ways, the first with its 95 % interval."""
    ratios = {way: np.divide(seconds["one"], seconds[way]) for way in ("two", "apart")}
    ends = quantile_test(ratios["two"], p=0.5).confidence_interval()
    return {
        "speed-up": float(np.median(ratios["two"])),
        "interval": [float(end) for end in ends],
        "exchanging nothing": float(np.median(ratios["apart"])),
    }


def timed(folder: Path, data: str, args: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Seconds of every turn, by kind of work and way of doing it."""
    for name, size in (("whole", args.batch_size), ("half", args.batch_size // 2)):
        shape = ["--network", args.network, "--set", f"batch_size={size}", "--set", "previews=0"]
        finish(["train", data, "--out", name, "--steps", "1", *shape, *PLAIN], folder)
    asked = [f"--{name}={getattr(args, name)}" for name in ("steps", "batches", "turns")]
    printed = together([data, str(folder / "whole"), str(folder / "half"), *asked], folder, ("-m", "--", TURNS))
    found: dict[str, dict[str, list[float]]] = json.loads(printed.strip().rpartition("\n")[2])
    print(json.dumps(found), file=sys.stderr, flush=True)
    return found


PLAIN = ("--set", "precision=float32", "--set", "memory_format=channels_last", "--set", "dropout=0")
SHORT = ("--steps", "60", "--network", "tiny", "--set", "batch_size=32", "--set", "previews=0", *PLAIN)
"""A training whose losses are compared."""


def agreement(folder: Path, data: str) -> dict[str, float]:
    """Train and sample with one process and with two: the largest difference of losses, and files that differ."""
    sample = ["--per-class", "35", "--nfe", "4"]
    finish(["train", data, "--out", "one", *SHORT], folder)
    together(["train", data, "--out", "two", *SHORT], folder)
    finish(["sample", "one", "--out", "samples-one", *sample], folder)
    together(["sample", "one", "--out", "samples-two", *sample], folder)
    differ = differences_of_folders(folder / "samples-one", folder / "samples-two")
    return {"loss difference": loss_difference(folder / "one", folder / "two"), "files that differ": len(differ)}


def loss_difference(one: Path, two: Path) -> float:
    """Largest relative difference of the losses that two runs report, which are of the same steps."""
    losses = [[r["loss"] for r in Run.open(run).records() if "loss" in r] for run in (one, two)]
    return float((np.abs(np.subtract(*losses)) / np.abs(losses[0])).max())


def together(
    arguments: list[str],
    folder: Path,
    program: tuple[str, ...] = ("-m", "--", "evenscore"),
    variables: Mapping[str, str] | None = None,
) -> str:
    """Run a command in two processes of one thread, with these variables besides those of this one; what it prints.

    Raises:
        RuntimeError: it fails.
    """
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ended = subprocess.run(
        [*launcher, *program, *arguments],
        cwd=folder,
        env=surroundings() | dict(variables or {}),
        capture_output=True,
        text=True,
    )
    if ended.returncode:
        raise RuntimeError(f"torchrun ended with exit code {ended.returncode}: {ended.stderr[-500:]}")
    return ended.stdout
