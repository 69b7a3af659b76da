"""A training run is killed again and again and resumed; its final weights must equal those of the uninterrupted run."""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.interrupted import finish, last_step, same_tensors, start
from benchmarks.runner import Outcome

SUMMARY = (
    "kill -9 at random moments of training, resume each time: final weights bit-identical to the uninterrupted run"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--kills", type=int, default=10, help="how often the run is killed")
    parser.add_argument("--steps", type=int, default=1500, help="optimiser steps of the run")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")


def run(args: argparse.Namespace) -> Outcome:
    """Train once without and once with interruptions, and compare every tensor of the last checkpoints."""
    moments = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        finish(_command("whole", args.steps), folder)
        kills = 0
        while kills < args.kills and _killed(folder, args.steps, moments.uniform(0.0, 4.0)):
            kills += 1
            print(f"kill {kills}: last checkpoint at step {last_step(folder / 'broken')}", file=sys.stderr, flush=True)
        finish(_command("broken", args.steps), folder)
        mine, theirs, same = same_tensors(folder / "whole", folder / "broken")
        steps = [last_step(folder / name) for name in ("whole", "broken")]
    values = {"kills": kills, "tensors": mine, "identical tensors": same, "steps": steps}
    holds = kills == args.kills and same == mine == theirs
    return Outcome(values, {"kills": args.kills, "identical tensors": mine}, holds)


def _command(out: str, steps: int) -> list[str]:
    settings = [
        "--set",
        "checkpoint_every=25",
        "--set",
        "precision=float32",
        "--set",
        "memory_format=channels_last",
        "--network",
        "tiny",
    ]
    return ["train", "digits:factor=50", "--out", out, "--steps", str(steps), "--seed", "1", *settings]


def _killed(folder: Path, steps: int, delay: float) -> bool:
    """Start training, kill it ``delay`` seconds after it began to compute; False when it ended before that."""
    before = _logged(folder)
    process = start(_command("broken", steps), folder)
    while process.poll() is None and _logged(folder) <= before:
        time.sleep(0.02)
    time.sleep(delay)
    process.kill()
    process.communicate()
    return process.returncode == -signal.SIGKILL


def _logged(folder: Path) -> float:
    """When the metrics were last written: training has begun once this grows."""
    path = folder / "broken" / "metrics.jsonl"
    return path.stat().st_mtime if path.is_file() else 0.0
