"""Commands are killed at random instants of their whole life and given again: nothing is corrupt, and nothing is lost."""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.interrupted import corrupt, differences_of_folders, finish, start, unfinished
from benchmarks.runner import Outcome
from evenscore.cli import COMMANDS

SUMMARY = (
    "kill -9 and SIGTERM at random instants of train, sample, balance and compare: nothing corrupt, all resumed equal"
)
MOST_IN_A_ROW = 5
"""Kills of one job before it may end."""
PATIENCE = 600.0
"""Seconds within which a process must have stopped after SIGTERM."""
TINY = [
    "--set",
    "precision=float32",
    "--set",
    "memory_format=channels_last",
    "--network",
    "tiny",
    "--set",
    "batch_size=16",
    "--set",
    "warmup=2",
]
DATA = "digits:factor=50"


@dataclass(frozen=True)
class Job:
    """A command whose output is ``out`` in the folder where it is given."""

    name: str
    arguments: Sequence[str]


@dataclass
class Tally:
    """What became of the kills."""

    kills: Counter[str] = field(default_factory=Counter)
    signals: Counter[str] = field(default_factory=Counter)
    resumed: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--kills", type=int, default=100, help="how often a command is killed, in all")
    parser.add_argument("--quick", action="store_true", help="8 kills")
    parser.add_argument("--seed", type=int, default=0, help="seed of the instants and signals")
    parser.add_argument("--out", type=Path, help="folder for kill-matrix.json and for jobs that went wrong")


def run(args: argparse.Namespace) -> Outcome:
    """Kill the jobs in turn until there were enough kills, and compare each with an uninterrupted one."""
    draw, kills, tally = random.Random(args.seed), 8 if args.quick else args.kills, Tally()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        jobs = made_jobs(root)
        seconds = {job.name: reference(job, root) for job in jobs}
        for number in range(10 * kills):
            left = kills - tally.kills.total()
            if left <= 0:
                break
            job = jobs[number % len(jobs)]
            interrupt(job, root / "broken" / f"{job.name}-{number}", root, seconds[job.name], left, draw, tally)
            said = f"{tally.kills.total()} of {kills} kills, {len(tally.wrong)} wrong"
            print(f"{job.name}-{number}: {said}", file=sys.stderr, flush=True)
        values = {
            "kills": tally.kills.total(),
            "kills by command": dict(tally.kills),
            "kills by signal": dict(tally.signals),
            "jobs ended as uninterrupted": dict(tally.resumed),
            "seconds uninterrupted": {name: round(value, 1) for name, value in seconds.items()},
            "wrong": len(tally.wrong),
            "what": tally.wrong,
        }
        keep(args.out, values, root)
    return Outcome(values, {"kills": kills, "wrong": 0}, tally.kills.total() >= kills and not tally.wrong)


def made_jobs(root: Path) -> list[Job]:
    """The jobs, and the run that they sample; ``compare`` where there is such a command."""
    training = ["train", DATA, "--out", "run", "--steps", "4", *TINY, "--set", "previews=0"]
    finish(training, root)
    run_path = str(root / "run")
    jobs = [
        Job("train", ["train", DATA, "--out", "out", "--steps", "24", *TINY, "--set", "checkpoint_every=4"]),
        Job("sample", ["sample", run_path, "--out", "out", "--per-class", "40", "--nfe", "8"]),
        Job("balance", ["balance", DATA, "--out", "out", "--target", "8", "--nfe", "4", "--steps", "8", *TINY]),
    ]
    if "compare" in COMMANDS:
        recipe = root / "plain.yaml"
        recipe.write_text("objective: denoising\nnetwork: tiny\nprecision: float32\nbatch_size: 16\n", encoding="utf-8")
        budget = ["--data", DATA, "--seeds", "1", "--budget", "6", "--out", "out"]
        jobs.append(Job("compare", ["compare", str(recipe), *budget]))
    return jobs


def reference(job: Job, root: Path) -> float:
    """Run a job without interruption in ``root/whole/NAME``; returns how many seconds that took."""
    folder = root / "whole" / job.name
    folder.mkdir(parents=True)
    began = time.monotonic()
    finish(job.arguments, folder)
    return time.monotonic() - began


def interrupt(job: Job, folder: Path, root: Path, seconds: float, most: int, draw: random.Random, tally: Tally) -> None:
    """Kill a job a few times, wherever it is, then let it end, and compare it with the uninterrupted one."""
    folder.mkdir(parents=True)
    ended = False
    for _ in range(min(most, MOST_IN_A_ROW)):
        number = draw.choice((signal.SIGKILL, signal.SIGTERM))
        after = draw.uniform(0, seconds)
        ended, wrong = killed(job, folder, number, after)
        where = f"{folder.name}, {number.name} after {after:.2f} s"
        tally.wrong += [f"{where}: {words}" for words in [*wrong, *corrupt(folder)]]
        if ended:
            break
        tally.kills[job.name] += 1
        tally.signals[number.name] += 1
    try:
        finish(job.arguments, folder)
        wrong = differences_of_folders(root / "whole" / job.name, folder)
        wrong += [f"{name} is left over" for name in unfinished(folder)] + corrupt(folder)
    except (RuntimeError, OSError, KeyError) as error:
        wrong = [str(error)]
    tally.resumed[job.name] += not wrong
    tally.wrong += [f"{folder.name}, at the end: {words}" for words in wrong]


def killed(job: Job, folder: Path, number: signal.Signals, after: float) -> tuple[bool, list[str]]:
    """Start a job and kill it after so many seconds; returns whether it ended before that, and what is wrong with how."""
    process = start(job.arguments, folder)
    try:
        err = process.communicate(timeout=after)[1]
        return True, [] if process.returncode == 0 else [f"it failed by itself: {err[-300:]}"]
    except subprocess.TimeoutExpired:
        process.send_signal(number)
    try:
        err = process.communicate(timeout=PATIENCE)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return False, [f"it did not stop within {PATIENCE:.0f} s"]
    if "Traceback" in err and process.returncode != -number:
        return False, [f"a traceback: {err[-300:]}"]
    fine = {-number, 130, 0} if number == signal.SIGTERM else {-number, 0}
    return process.returncode == 0, [] if process.returncode in fine else [
        f"exit code {process.returncode}: {err[-300:]}"
    ]


def keep(out: Path | None, values: dict[str, Any], root: Path) -> None:
    """Write what was found, and keep the folders of jobs that went wrong, where a folder was asked for."""
    import shutil

    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    (out / "kill-matrix.json").write_text(json.dumps(values, indent=1), encoding="utf-8")
    for name in {words.split(",")[0] for words in values["what"]}:
        shutil.copytree(root / "broken" / name, out / name, dirs_exist_ok=True)
