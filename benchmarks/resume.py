"""A training run is killed again and again and resumed; its final weights must equal those of the uninterrupted run."""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.runner import Outcome
from evenscore.checkpoint import load_checkpoint

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
    with tempfile.TemporaryDirectory() as folder:
        whole, broken = Path(folder) / "whole", Path(folder) / "broken"
        _finish(whole, args.steps)
        kills = steps_seen = 0
        while kills < args.kills and _killed(broken, args.steps, moments.uniform(0.0, 4.0)):
            kills += 1
            steps_seen = _last_step(broken)
            print(f"kill {kills}: last checkpoint at step {steps_seen}", file=sys.stderr, flush=True)
        _finish(broken, args.steps)
        one, other = (load_checkpoint(path / "checkpoints") for path in (whole, broken))
    same = [key for key in one.tensors if torch.equal(one.tensors[key], other.tensors[key])]
    values = {
        "kills": kills,
        "tensors": len(one.tensors),
        "identical tensors": len(same),
        "steps": [int(one.state["step"]), int(other.state["step"])],
    }
    holds = kills == args.kills and len(same) == len(one.tensors) == len(other.tensors)
    return Outcome(values, {"kills": args.kills, "identical tensors": len(one.tensors)}, holds)


def _command(out: Path, steps: int) -> list[str]:
    settings = ["--set", "checkpoint_every=25", "--set", "precision=float32", "--network", "tiny"]
    train = ["train", "digits:factor=50", "--out", str(out), "--steps", str(steps), "--seed", "1", *settings]
    return [sys.executable, "-m", "evenscore", *train]


def _start(out: Path, steps: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return subprocess.Popen(_command(out, steps), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _finish(out: Path, steps: int) -> None:
    code = _start(out, steps).wait()
    if code != 0:
        raise RuntimeError(f"training ended with exit code {code}")


def _killed(out: Path, steps: int, delay: float) -> bool:
    """Start training, kill it ``delay`` seconds after it began to compute; False when it ended before that."""
    before = _lines(out)
    process = _start(out, steps)
    while process.poll() is None and _lines(out) <= before:
        time.sleep(0.02)
    time.sleep(delay)
    process.kill()
    return process.wait() == -9


def _lines(out: Path) -> float:
    """When the metrics were last written: training has begun once this grows."""
    path = out / "metrics.jsonl"
    return path.stat().st_mtime if path.is_file() else 0.0


def _last_step(out: Path) -> int:
    checkpoints = sorted((out / "checkpoints").glob("step-*.safetensors"))
    return int(checkpoints[-1].stem.removeprefix("step-")) if checkpoints else 0
