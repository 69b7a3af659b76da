"""Training steps and batches of samples in two warm processes, timed in turns; started by torchrun, it prints one JSON object.

Each turn does the same work three times: ``one`` process for itself while the other waits (each is that one in every other
turn), ``two`` that share it, and ``apart``: two that do half of it each and exchange nothing, which is what the machine gives.
They follow each other within seconds and in both orders, so a machine whose speed drifts is as quick for one as for the others.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import torch

from evenscore import Run, Sampler, load
from evenscore.data import Dataset
from evenscore.ranks import VARIABLES, Ranks, current, leave
from evenscore.sampling.files import SampleJob, sample_files
from evenscore.training.loop import Trainer

WAYS = ("one", "two", "apart")
PER_BATCH = 50
"""Samples of a batch."""
SAMPLER = Sampler(nfe=10, guidance=2.0)


@contextmanager
def alone() -> Iterator[None]:
    """What is made here takes this process for the only one."""
    with mock.patch.dict(os.environ):
        for name in VARIABLES:
            del os.environ[name]
        yield


def main() -> None:
    """Time both kinds of work and print the seconds of every turn, by kind and way."""
    parser = argparse.ArgumentParser()
    for name in ("data", "whole", "half"):
        parser.add_argument(name)
    for name in ("steps", "batches", "turns"):
        parser.add_argument(f"--{name}", type=int)
    args = parser.parse_args()
    torch.set_num_threads(1)
    ranks, data = current(), load(args.data)
    work = {
        "train": training(data, Path(args.whole), Path(args.half), args.steps),
        "sample": sampling(data.num_classes, Path(args.whole), args.batches, ranks),
    }
    found = {kind: in_turns(ways, args.turns, ranks) for kind, ways in work.items()}
    if ranks.first:
        print(json.dumps(found), flush=True)
    ranks.any(False)
    leave()


def training(data: Dataset, whole: Path, half: Path, steps: int) -> dict[str, Callable[[], None]]:
    """Training steps with the batches of the run ``whole``, alone and shared, and with those of ``half``, alone."""
    two = Trainer(Run.open(whole), data)
    with alone():
        one, apart = Trainer(Run.open(whole), data), Trainer(Run.open(half), data)

    def take(trainer: Trainer) -> Callable[[], None]:
        def work() -> None:
            for _ in range(steps):
                trainer.one_step()

        return work

    return {"one": take(one), "two": take(two), "apart": take(apart)}


def sampling(classes: int, run: Path, batches: int, ranks: Ranks) -> dict[str, Callable[[], None]]:
    """Files of ``batches`` for each process, all of one class: by one process, shared, and each its own."""

    def write(name: str, batches: int) -> None:
        out = run.parent / name
        job = SampleJob((PER_BATCH * batches,) + (0,) * (classes - 1), SAMPLER, batch_size=PER_BATCH)
        for _ in sample_files(Run.open(run), out, job):
            pass
        if name != "together" or ranks.first:
            shutil.rmtree(out)

    def by_itself(batches: int) -> Callable[[], None]:
        def work() -> None:
            with alone():
                write(f"alone-{ranks.rank}", batches)

        return work

    all_batches = batches * ranks.size
    return {"one": by_itself(all_batches), "two": lambda: write("together", all_batches), "apart": by_itself(batches)}


def in_turns(ways: dict[str, Callable[[], None]], turns: int, ranks: Ranks) -> dict[str, list[float]]:
    """Seconds of each way in each turn, after one turn that is not counted."""
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(turns + 1):
        for way in WAYS if turn // ranks.size % 2 else WAYS[::-1]:
            ranks.any(False)
            before = time.perf_counter()
            if way != "one" or turn % ranks.size == ranks.rank:
                ways[way]()
            ranks.any(False)
            found[way].append(time.perf_counter() - before)
    return {way: seconds[1:] for way, seconds in found.items()}


if __name__ == "__main__":
    main()
