"""What a step of a method costs, as a multiple of the baseline's, measured in rounds that alternate between the two.

Law: the cost is a mean over parts of the budget (a pull that starts late costs nothing before) of medians over rounds of the
ratio of two times that were measured next to each other, after a round to warm up; what slows the machine slows both. On a
processor time is processor time of one thread, so another program's work does not count; on an accelerator it is the clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory

import torch

from evenscore.configuration import TrainConfig
from evenscore.data import Dataset
from evenscore.run import DataCard, Run
from evenscore.training import Trainer

PARTS = (0.125, 0.375, 0.625, 0.875)
"""Shares of the budget at which steps are measured."""
ROUNDS, STEPS = 3, 2
SAME = 0.05
"""A cost that differs from 1 by less is called 1: the measurement is no finer."""
NOMINAL = 10_000
"""Length of the run that is measured; only the share that is done matters."""
GENTLE = 1e-6
"""Its learning rate: it changes no cost, and a rate at which a method diverges must not hinder measuring it."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, torch computes with one thread, so that a result does not depend on how many there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def cost(data: Dataset, method: TrainConfig, baseline: TrainConfig) -> float:
    """A method's step as a multiple of the baseline's; both configurations without ``auto``.

    Raises:
        EvenscoreError: the method cannot train.
    """
    with TemporaryDirectory() as folder, one_thread():
        trainers = [_trainer(data, config, Path(folder) / str(i)) for i, config in enumerate((method, baseline))]
        _rounds(trainers, PARTS[0])  # to warm up
        rounds = {part: _rounds(trainers, part) for part in PARTS}
    ratio = mean(median(ours / theirs for ours, theirs in rounds[part]) for part in PARTS)
    return 1.0 if abs(ratio - 1) < SAME else ratio


def seconds_per_step(data: Dataset, baseline: TrainConfig) -> float:
    """Processor time of a step, in the middle of the budget.

    Raises:
        EvenscoreError: the method cannot train.
    """
    with TemporaryDirectory() as folder, one_thread():
        trainers = [_trainer(data, baseline, Path(folder) / "run")]
        _rounds(trainers, 0.5)  # to warm up
        rounds = _rounds(trainers, 0.5)
    return median(seconds for (seconds,) in rounds) / STEPS


def steps_for(steps: int, ratio: float) -> int:
    """Steps of a method that fit into what ``steps`` of the baseline take; at least 1."""
    return max(1, round(steps / ratio))


def _trainer(data: Dataset, config: TrainConfig, path: Path) -> Trainer:
    longer = replace(config, steps=NOMINAL, minutes=None, lr=GENTLE)
    return Trainer(Run.create(path, longer, DataCard.of(data)), data)


def _rounds(trainers: list[Trainer], part: float) -> list[list[float]]:
    """Seconds of some steps of each in turn, round by round, at a share of the budget."""
    for trainer in trainers:
        trainer.step = int(part * NOMINAL)
    return [[_time(trainer) for trainer in trainers] for _ in range(ROUNDS)]


def _time(trainer: Trainer) -> float:
    started = _clock()
    for _ in range(STEPS):
        trainer.one_step()
    return max(_clock() - started, 1e-9)


def _clock() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()
