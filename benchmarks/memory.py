"""Peak memory of evaluating, and of balancing to, few and very many samples, each measured in a process of its own."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.interrupted import finish, surroundings
from benchmarks.runner import Outcome

SUMMARY = "peak memory of evaluating and of balancing 1,000 and 100,000 samples differs by less than 20 %"
BOUND = 1.2
DATA = "digits:factor=50"
CLASSES = 10
MEASURED = """
import json, re, sys
from evenscore.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    if ended.code:
        raise
print(json.dumps(int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read()).group(1)) / 1024))
"""
"""A command, and after it the largest number of MiB that its process ever held."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--few", type=int, default=1_000, help="the smaller number of samples")
    parser.add_argument("--many", type=int, default=100_000, help="the larger one")
    parser.add_argument("--quick", action="store_true", help="12,000 samples as the larger number")


def run(args: argparse.Namespace) -> Outcome:
    """Train a network for a moment, then evaluate it and balance with it, in both sizes."""
    sizes = {"few": args.few, "many": 12_000 if args.quick else args.many}
    peaks: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        train = ["--steps", "100", "--network", "tiny", "--set", "previews=0", "--set", "precision=float32"]
        finish(["train", args.data or DATA, "--out", "run", *train], folder)
        for name, command in COMMANDS.items():
            peaks[name] = {size: peak(command(args.data or DATA, n, size), folder) for size, n in sizes.items()}
            print(f"{name}: {peaks[name]} MiB", file=sys.stderr, flush=True)
    growth = {name: found["many"] / found["few"] for name, found in peaks.items()}
    values = {"samples": sizes, "peak MiB": peaks, "growth": growth}
    return Outcome(values, {"growth": dict.fromkeys(growth, f"< {BOUND}")}, max(growth.values()) < BOUND)


def evaluating(data: str, n: int, size: str) -> list[str]:
    """Samples of the run against real ones, by the measures that are given by default."""
    quick = ["--per-class", str(n // CLASSES), "--solver", "ddim", "--nfe", "2", "--guidance", "1"]
    return ["evaluate", "run", "--reference", data, *quick, "--out", f"{size}.json"]


def balancing(data: str, n: int, size: str, form: str) -> list[str]:
    """As many samples as that, nearly all of them made, in files or shards."""
    quick = ["--target", str(n // CLASSES), "--solver", "ddim", "--nfe", "2", "--guidance", "1", "--format", form]
    return ["balance", data, "--run", "run", "--out", f"{form}-{size}", *quick]


COMMANDS = {
    "evaluate": evaluating,
    "balance to shards": lambda data, n, size: balancing(data, n, size, "webdataset"),
    "balance to files": lambda data, n, size: balancing(data, n, size, "png"),
}


def peak(arguments: list[str], folder: Path) -> float:
    """Run a command in a process of its own; MiB of memory at its peak.

    Raises:
        RuntimeError: it fails.
    """
    ended = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments], cwd=folder, env=surroundings(), capture_output=True, text=True
    )
    if ended.returncode:
        raise RuntimeError(f"evenscore {arguments[0]} ended with exit code {ended.returncode}: {ended.stderr[-500:]}")
    return float(json.loads(ended.stdout.strip().rpartition("\n")[2]))
