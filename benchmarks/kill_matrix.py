"""Commands are killed at random instants of their whole life and given again: nothing is corrupt, and nothing is lost."""

from __future__ import annotations

import argparse
import json
import random
import shutil
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
from evenscore.checkpoint import write_atomic

SUMMARY = (
    "kill -9 and SIGTERM at random instants of train, sample, balance (images, tables) and compare: nothing corrupt, all "
    "resumed equal"
)
MOST_IN_A_ROW = 5
"""Kills of one job before it may end."""
PATIENCE = 600.0
"""Seconds within which a process must have stopped after SIGTERM."""
ALIKE = [
    part
    for setting in ("precision=float32", "memory_format=channels_last", "batch_size=16")
    for part in ("--set", setting)
]
"""Settings of every training, given so that nothing is measured and two runs agree bit for bit."""
TINY = [*ALIKE, "--network", "tiny", "--set", "warmup=2"]
DATA = "digits:factor=50"
COUNTED = ("kills", "signals", "resumed")
KEPT = "kill-matrix.json"
"""File of the counts."""


@dataclass(frozen=True)
class Job:
    """A command whose output is ``out`` in the folder where it is given.

    Attributes:
        name: of the job.
        arguments: of the command.
        last: the file that it writes last and never writes over; it has done its work where that is there.
    """

    name: str
    arguments: Sequence[str]
    last: str = ""

    def is_done(self, folder: Path) -> bool:
        """Whether a kill came after all was done."""
        return bool(self.last) and (folder / self.last).exists()


@dataclass
class Tally:
    """What became of the kills: of each command and signal, and of the jobs that were begun; kept in a file."""

    jobs: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)
    signals: Counter[str] = field(default_factory=Counter)
    resumed: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> Tally:
        """That of a benchmark which was interrupted, or a new one."""
        kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return cls(**{key: Counter(value) if key in COUNTED else value for key, value in kept.items()})

    def keep(self, path: Path) -> None:
        """Keep it, atomically."""
        write_atomic(path, json.dumps(vars(self), indent=1).encode())

    def values(self) -> dict[str, Any]:
        """As it is reported."""
        return {
            "kills": self.kills.total(),
            "kills by command": dict(self.kills),
            "kills by signal": dict(self.signals),
            "jobs ended as uninterrupted": dict(self.resumed),
            "seconds uninterrupted": {name: round(value, 1) for name, value in self.seconds.items()},
            "wrong": len(self.wrong),
            "what": self.wrong,
        }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--kills", type=int, default=100, help="how often a command is killed, in all")
    parser.add_argument("--quick", action="store_true", help="8 kills")
    parser.add_argument("--seed", type=int, default=0, help="seed of the instants and signals")
    parser.add_argument("--only", default="", help="only jobs whose name holds these letters")
    parser.add_argument("--out", type=Path, help="folder to keep what is done in; the same command again goes on there")


def run(args: argparse.Namespace) -> Outcome:
    """Kill the jobs in turn until there were enough kills, and compare each with an uninterrupted one."""
    kills = 8 if args.quick else args.kills
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) if args.out is None else args.out.resolve()
        tally = Tally.read(root / KEPT)
        jobs = [job for job in made_jobs(root) if args.only in job.name]
        for job in jobs:
            if job.name not in tally.seconds:
                tally.seconds[job.name] = reference(job, root)
                tally.keep(root / KEPT)
        while tally.kills.total() < kills and tally.jobs < 10 * kills:
            job, draw = jobs[tally.jobs % len(jobs)], random.Random(f"{args.seed}-{tally.jobs}")
            folder = root / "broken" / f"{job.name}-{tally.jobs}"
            shutil.rmtree(folder, ignore_errors=True)
            fine = interrupt(job, folder, root, kills - tally.kills.total(), draw, tally)
            if fine:
                shutil.rmtree(folder)
            tally.jobs += 1
            tally.keep(root / KEPT)
            said = f"{tally.kills.total()} of {kills} kills, {len(tally.wrong)} wrong"
            print(f"{folder.name}: {said}", file=sys.stderr, flush=True)
    return Outcome(tally.values(), {"kills": kills, "wrong": 0}, tally.kills.total() >= kills and not tally.wrong)


def made_jobs(root: Path) -> list[Job]:
    """The jobs, and what they read: a run to sample and a table."""
    root.mkdir(parents=True, exist_ok=True)
    if not (root / "table.csv").is_file():
        finish(["train", DATA, "--out", "run", "--steps", "4", *TINY, "--set", "previews=0"], root)
        write_table(root / "table.csv")
    compared = ["--data", DATA, "--seeds", "1", "--budget", "6", "--equal", "updates", "--set", "checkpoint_every=3"]
    judged = [
        "--features",
        "pixels",
        "--metrics",
        "kernel,copies",
        "--per-class",
        "10",
        "--nfe",
        "2",
        "--guidance",
        "1",
    ]
    one_batch = ["--set", "network=tiny", *ALIKE]
    filled = ["--label", "kind", "--folds", "2", "--target", "30", "--set", "steps=30", "--set", "correction=always"]
    return [
        Job("train", ["train", DATA, "--out", "out", "--steps", "24", *TINY, "--set", "checkpoint_every=4"]),
        Job("sample", ["sample", str(root / "run"), "--out", "out", "--per-class", "40", "--nfe", "8"]),
        Job("balance", ["balance", DATA, "--out", "out", "--target", "8", "--nfe", "4", "--steps", "8", *TINY]),
        Job("compare", ["compare", "cbdm", "--out", "out", *compared, *judged, *one_batch]),
        Job("table", ["balance", str(root / "table.csv"), "--out", "out.csv", *filled], "out.csv"),
    ]


def write_table(path: Path) -> None:
    """A table of 40 rows, of which 8 are of the small class."""
    draw = random.Random(0)
    rows = [f"{draw.gauss(0, 1):.3f},{draw.choice('abc')},{'rare' if i % 5 == 0 else 'common'}" for i in range(40)]
    path.write_text("\n".join(["size,place,kind", *rows]) + "\n", encoding="utf-8")


def reference(job: Job, root: Path) -> float:
    """Run a job without interruption in ``root/whole/NAME``; returns how many seconds that took."""
    folder = root / "whole" / job.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began = time.monotonic()
    finish(job.arguments, folder)
    return time.monotonic() - began


def interrupt(job: Job, folder: Path, root: Path, most: int, draw: random.Random, tally: Tally) -> bool:
    """Kill a job a few times, wherever it is, then let it end; returns whether it equals the uninterrupted one."""
    folder.mkdir(parents=True)
    before = len(tally.wrong)
    for attempt in range(min(most, MOST_IN_A_ROW)):
        number = draw.choice((signal.SIGKILL, signal.SIGTERM))
        after = draw.uniform(0, tally.seconds[job.name])
        began = time.monotonic()
        ended, wrong = killed(job, folder, number, after)
        where = f"{folder.name}, {number.name} after {after:.2f} s"
        tally.wrong += [f"{where}: {words}" for words in [*wrong, *corrupt(folder)]]
        if ended:
            if attempt == 0:  # the uninterrupted one was slower: most kills would come too late
                tally.seconds[job.name] = min(tally.seconds[job.name], time.monotonic() - began)
            break
        tally.kills[job.name] += 1
        tally.signals[number.name] += 1
        if job.is_done(folder):
            break
    try:
        if not job.is_done(folder):
            finish(job.arguments, folder)
        wrong = differences_of_folders(root / "whole" / job.name, folder)
        wrong += [f"{name} is left over" for name in unfinished(folder)] + corrupt(folder)
    except (RuntimeError, OSError, KeyError) as error:
        wrong = [str(error)]
    tally.resumed[job.name] += not wrong
    tally.wrong += [f"{folder.name}, at the end: {words}" for words in wrong]
    return len(tally.wrong) == before


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
