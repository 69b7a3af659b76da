"""Two processes of one thread against one process of one thread: throughput of training and sampling, and equal results."""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.interrupted import differences_of_folders, finish, surroundings
from benchmarks.runner import Outcome
from evenscore.run import Run

SUMMARY = (
    "two processes train and sample at least 1.8 times as fast as one, with one thread each; losses and samples agree"
)
BOUND = 1.8
TOLERANCE = 1e-4
"""Largest relative difference of the losses of a report."""
DATA = "digits:factor=50"
TIMED = """
import json, time
from pathlib import Path
import torch
from evenscore import Run, Sampler, load
from evenscore.ranks import current, leave
from evenscore.sampling.files import SampleJob, sample_files
from evenscore.training.loop import Trainer
torch.set_num_threads(1)
data, where, steps, batches, repeats = load({data!r}), Path({where!r}), {steps}, {batches}, {repeats}
ranks, found = current(), {{"train": [], "sample": []}}

def clock():
    ranks.any(False)
    return time.perf_counter()

trainer = Trainer(Run.open(where), data)
job = SampleJob((100 * batches,) + (0,) * (data.num_classes - 1), Sampler(nfe=10, guidance=2.0))
for turn in range(repeats + 1):
    before = clock()
    for _ in range(steps):
        trainer.one_step()
        ranks.any(False)
    found["train"].append(clock() - before)
    before = clock()
    for _ in sample_files(Run.open(where), where.parent / f"timed-{{ranks.size}}-{{turn}}", job):
        pass
    found["sample"].append(clock() - before)
if ranks.first:
    print(json.dumps({{key: times[1:] for key, times in found.items()}}), flush=True)
clock()
leave()
"""
"""Seconds of some training steps and of some batches of samples, the first of each left out; formatted before it is run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--repeats", type=int, default=3, help="timings of each kind in each run")
    parser.add_argument("--steps", type=int, default=4, help="training steps that are timed at once")
    parser.add_argument("--batches", type=int, default=2, help="batches of 100 samples that are timed at once")
    parser.add_argument("--network", default="small", help="network that is timed")
    parser.add_argument("--batch-size", type=int, default=256, help="samples of a training step")


def run(args: argparse.Namespace) -> Outcome:
    """Compare the results of both on a short run, then time both in turns, one before two and two before one."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        equal = agreement(folder, args.data or DATA)
        shape = ["--network", args.network, "--set", f"batch_size={args.batch_size}", "--set", "previews=0"]
        finish(["train", args.data or DATA, "--out", "timed", "--steps", "1", *shape, *PLAIN], folder)
        times: dict[int, list[dict[str, list[float]]]] = {1: [], 2: []}
        for size in (1, 2, 2, 1):
            times[size].append(timed(folder, size, args))
            print(f"{size}: {times[size][-1]}", file=sys.stderr, flush=True)
    speed = {kind: ratio(times, kind) for kind in ("train", "sample")}
    values = {"speed-up": speed, **equal}
    bound = {
        "speed-up": dict.fromkeys(speed, f">= {BOUND}"),
        "loss difference": f"< {TOLERANCE}",
        "files that differ": 0,
    }
    holds = min(speed.values()) >= BOUND and equal["loss difference"] < TOLERANCE and not equal["files that differ"]
    return Outcome(values, bound, holds)


PLAIN = ("--set", "precision=float32", "--set", "dropout=0")
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


def timed(folder: Path, size: int, args: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of each timing of ``size`` processes, the first of each left out."""
    asked = {"steps": args.steps, "batches": args.batches, "repeats": args.repeats}
    script = folder / "timed.py"
    script.write_text(TIMED.format(data=args.data or DATA, where=str(folder / "timed"), **asked), encoding="utf-8")
    if size > 1:
        printed = together([], folder, (str(script),))
    else:
        command = [sys.executable, str(script)]
        ended = subprocess.run(command, cwd=folder, env=surroundings(), capture_output=True, text=True, check=True)
        printed = ended.stdout
    for path in folder.glob("timed-*"):
        shutil.rmtree(path)
    found: dict[str, list[float]] = json.loads(printed.strip().rpartition("\n")[2])
    return found


def ratio(times: dict[int, list[dict[str, list[float]]]], kind: str) -> float:
    """Median time of one process over that of two."""
    one, two = (statistics.median([t for found in times[size] for t in found[kind]]) for size in (1, 2))
    return one / two
