"""Runs that are not there yet, one after the other in this process or several at once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from evenscore.comparison.folder import Folder
from evenscore.comparison.plan import Measured, Trial
from evenscore.comparison.progress import Clock, Stage
from evenscore.comparison.trial import FAILED, STOPPED, Setup, clear, run_trial
from evenscore.comparison.workers import run_parallel

TRAINING = 0.8
"""Share of the work of a run that is training; the rest is looking at its samples."""


def work_of(trial: Trial, measured: Measured) -> float:
    """Seconds of a run as they are predicted: training, and looking at its samples."""
    return trial.steps * measured.costs[trial.title] * measured.seconds / TRAINING


def run_all(
    setup: Setup, name: str, trials: Sequence[Trial], measured: Measured, stop: Callable[[], bool]
) -> Generator[Stage, None, bool]:
    """Run what is not there yet; yields stages of that name and returns whether a stop was asked."""
    folder = Folder(setup.root)
    todo = [trial for trial in trials if not folder.has(trial.name)]
    for trial in trials:
        if trial not in todo:
            clear(setup, folder, trial)  # it may have been killed between the two
    work = {trial.name: work_of(trial, measured) for trial in trials}
    clock = Clock(name, work.values(), (work[trial.name] for trial in trials if folder.has(trial.name)))
    if setup.config.workers == 1 or len(todo) < 2:
        return (yield from _one_by_one(setup, folder, clock, todo, work, stop))
    yield clock.stage(f"{len(todo)} runs in {setup.config.workers} processes")
    for trial, ended in run_parallel(setup, todo, setup.config.workers, stop):
        clock.done += work[trial.name]
        if ended != STOPPED:
            yield _ended(folder, clock, trial, ended)
    return stop()


def _one_by_one(
    setup: Setup,
    folder: Folder,
    clock: Clock,
    todo: Sequence[Trial],
    work: dict[str, float],
    stop: Callable[[], bool],
) -> Generator[Stage, None, bool]:
    for trial in todo:
        running, ended = run_trial(setup, trial, stop), ""
        while not ended:
            try:
                progress = next(running)
            except StopIteration as end:
                ended = str(end.value)
            else:
                under_way = work[trial.name] * progress.fraction * TRAINING
                yield clock.stage(f"{trial.words}: step {progress.step}", under_way)
        clock.done += work[trial.name]
        if ended == STOPPED:
            return True
        yield _ended(folder, clock, trial, ended)
        if stop():
            return True
    return False


def _ended(folder: Folder, clock: Clock, trial: Trial, ended: str) -> Stage:
    if ended == FAILED:
        return Stage("failed", f"{trial.words}: {folder.failure(trial.name)}")
    return clock.stage(trial.words)
