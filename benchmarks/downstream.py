"""Whether synthetic data improve a classifier: Fashion-MNIST (factor 100), every row of the downstream protocol, paired seeds.

Where no folder of synthetic images is given, a run is trained and balanced first, with as many images of each class as the
largest ratio asks for; its minutes are reported beside those of the rows, which the bound is on. Two processes of one thread
each train the classifiers. Every finished part is a file in ``--out``; the same command goes on from there.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from benchmarks.runner import Outcome, required_data
from evenscore.balancing import BalanceConfig, balance
from evenscore.checkpoint import make_folder, write_atomic
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset, load
from evenscore.downstream import Found, Job, Settings, downstream, markdown, read_synthetic, sentences, to_dict
from evenscore.downstream.methods import Recipe
from evenscore.downstream.mix import wanted_counts
from evenscore.downstream.parts import Parts
from evenscore.sampling import Sampler

SUMMARY = "Classifiers with and without synthetic data on Fashion-MNIST (factor 100): all rows, paired seeds, in words"

MINUTES = 60.0
"""Most minutes that all rows may take."""


@dataclass(frozen=True)
class Setting:
    """A data set of the benchmark.

    Attributes:
        data: as on the command line; ``{}`` stands for the path of ``--data``.
        settings: of the comparison.
        train: how a run is trained when no synthetic images are given.
    """

    data: str
    settings: Settings
    train: TrainConfig


RATIOS = (0.05, 0.1, 0.2)
"""Shares of the gap to the largest class that are filled; the last asks for 9,000 images, which is minutes of sampling."""

FASHION = Setting(
    "{}:factor=100,seed=0",
    Settings(depth=14, steps=1000, precision="bfloat16", ratios=RATIOS),
    TrainConfig(minutes=7),
)
QUICK = Setting("digits:factor=50,seed=0", Settings(depth=8, steps=80), TrainConfig(steps=250, previews=0))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument(
        "--synthetic", type=Path, help="a balanced folder, a folder by class or an .npz; made here when absent"
    )
    parser.add_argument("--out", type=Path, default=Path("out/downstream"), help="where parts are kept and resumed")
    parser.add_argument("--seeds", type=int, default=3, help="paired seeds")
    parser.add_argument("--steps", type=int, help="optimiser steps of every classifier, instead of the benchmark's own")
    parser.add_argument("--minutes", type=float, help="minutes of training of the run that makes synthetic images")
    parser.add_argument("--workers", type=int, default=2, help="processes, one thread each")
    parser.add_argument("--markdown", type=Path, help="a file for the tables and the verdict")
    parser.add_argument("--quick", action="store_true", help="digits (factor 50) with few steps: a few minutes")


def run(args: argparse.Namespace) -> Outcome:
    """Make the synthetic images where none are given, train and test what is not there yet, and say what was found."""
    setting = QUICK if args.quick else FASHION
    settings = replace(setting.settings, seeds=args.seeds, steps=args.steps or setting.settings.steps)
    spec = setting.data if args.quick else setting.data.format(required_data(args))
    train = setting.train if args.minutes is None else TrainConfig(minutes=args.minutes)
    make_folder(args.out)
    clock, data = Clock(args.out / "minutes.json"), load(spec)
    if args.synthetic is None:
        with clock.counting("synthetic images"):
            synthetic = made(data, args.out / "balanced", settings, train)
    else:
        synthetic = args.synthetic
    task = Task(spec, str(synthetic), settings, str(args.out / "comparison"))
    with clock.counting("rows"):
        fill(task, args.workers, clock)
    found = conclude(task)
    if args.markdown:
        args.markdown.write_text(markdown(found), encoding="utf-8")
    complete = all(len(row.figures["mean"]) == args.seeds for row in found.rows.values())
    minutes = {key: round(value, 2) for key, value in clock.minutes().items()}
    values = {**summary(found), "minutes": minutes, "every row on every seed": complete}
    bound = {"minutes": {"rows": MINUTES}, "every row on every seed": True}
    return Outcome(values, bound, complete and minutes["rows"] <= MINUTES)


def made(data: Dataset, out: Path, settings: Settings, train: TrainConfig) -> Path:
    """A balanced folder with what the largest ratio wants of each class; one that is finished is left as it is."""
    counts = data.distribution.counts
    wanted = wanted_counts(counts, max(settings.ratios))
    target = tuple(n + more for n, more in zip(counts, wanted, strict=True))
    said = ""
    for stage in balance(data, out, BalanceConfig(target=target, train=train, sampler=Sampler(guidance=2.0))):
        now = f"{stage.name} {int(10 * stage.fraction) * 10} %"
        if now != said:
            said = now
            _say(f"balance: {now} {stage.text}")
    return out


@dataclass(frozen=True)
class Task:
    """The comparison in plain values, so that it travels between processes: data, synthetic images, settings, folder."""

    spec: str
    synthetic: str
    settings: Settings
    out: str

    def parts(self) -> Parts:
        """Where its parts are."""
        return Parts(Path(self.out), job_of(self).signature)


@cache
def job_of(task: Task) -> Job:
    """The comparison, read once in a process."""
    data = load(task.spec)
    return Job.of(data, read_synthetic(Path(task.synthetic), data), task.settings)


def fill(task: Task, workers: int, clock: Clock) -> None:
    """Every training that has no part yet, in processes of one thread each."""
    job, parts = job_of(task), task.parts()
    with parts.held(), ProcessPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        todo = [(recipe, seed) for recipe, seed in job.tasks() if job.missing(parts, recipe, seed)]
        running: list[Future[str]] = [pool.submit(trained, task, recipe, seed) for recipe, seed in todo]
        try:
            for i, done in enumerate(as_completed(running)):
                clock.keep()
                _say(f"{i + 1} of {len(running)} trainings: {done.result()}")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def trained(task: Task, recipe: Recipe, seed: int) -> str:
    """Train and test once; what was found, for people."""
    job, parts = job_of(task), task.parts()
    for _ in job.measure(parts, recipe, seed):
        pass
    rows = [row.name for row in job.rows_of(recipe)]
    kept = [part for name in rows if (part := parts.read(name, seed)) is not None]
    shares = [f"{part.row} {sum(part.right) / len(job.test):.3f}" for part in kept]
    return f"{', '.join(shares)} of all test samples, seed {seed}, {kept[0].seconds:.0f} s"


def conclude(task: Task) -> Found:
    """What was found, from parts that are all there."""
    job = job_of(task)
    *_, last = downstream(job.data, job.synthetic, task.settings, Path(task.out))
    assert last.found is not None
    return last.found


def summary(found: Found) -> dict[str, Any]:
    """Means over seeds, paired differences of the mean, and the verdict."""
    rows = {
        name: {key: round(fmean(values), 4) for key, values in row.figures.items()} for name, row in found.rows.items()
    }
    against = {
        row["row"]: {
            base: {key: of["mean"][key] for key in ("mean", "low", "high")} for base, of in row["against"].items()
        }
        for row in to_dict(found)["rows"]
    }
    named = {"best without synthetic data": found.best_without, "best": found.best_with, "worst": found.worst_with}
    return {"rows": rows, "difference of the mean": against, **named, "verdict": list(sentences(found))}


class Clock:
    """Minutes spent, by what on, in a file: they add up over interruptions."""

    def __init__(self, path: Path) -> None:
        self.path, self.before = path, self._read(path)
        self.what, self.started = "", 0.0

    @staticmethod
    def _read(path: Path) -> dict[str, float]:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}

    def minutes(self) -> dict[str, float]:
        """All that was spent until now."""
        spent = dict(self.before)
        if self.what:
            spent[self.what] = spent.get(self.what, 0.0) + (time.monotonic() - self.started) / 60
        return spent

    def keep(self) -> None:
        """Write what was spent until now."""
        write_atomic(self.path, json.dumps(self.minutes()).encode())

    @contextmanager
    def counting(self, what: str) -> Iterator[None]:
        """Count the time inside."""
        self.what, self.started = what, time.monotonic()
        try:
            yield
        finally:
            self.before = self.minutes()
            self.what = ""
            self.keep()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
