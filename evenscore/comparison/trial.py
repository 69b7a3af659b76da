"""One run of a comparison: trained, looked at, kept as one file, and its folder removed.

Law: whatever goes wrong in a run is a sentence in ``failures/`` and nothing else: the others go on. A run whose loss is not
finite on the grid is a place that is not chosen, no failure.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenscore.comparison.cost import one_thread
from evenscore.comparison.folder import Folder
from evenscore.comparison.judge import Judge, cache_in
from evenscore.comparison.pictures import save_pictures
from evenscore.comparison.plan import Trial
from evenscore.comparison.settings import ComparisonConfig
from evenscore.data import Dataset
from evenscore.errors import Diverged, EvenscoreError
from evenscore.run import Run
from evenscore.training import Progress, train
from evenscore.training.curves import game_curves, loss_curves

DONE, STOPPED, FAILED = "done", "stopped", "failed"
PICTURED_SEED = 0
"""The seed whose samples are shown."""


@dataclass(frozen=True, eq=False)
class Setup:
    """What every run of a comparison needs; travels between processes.

    Attributes:
        data: training data.
        judge: of samples.
        config: of the comparison.
        root: the folder.
    """

    data: Dataset
    judge: Judge
    config: ComparisonConfig
    root: Path


def run_trial(setup: Setup, trial: Trial, stop: Callable[[], bool]) -> Generator[Progress, None, str]:
    """Train and look at one run; yields the progress of training and returns how it ended."""
    folder = Folder(setup.root)
    try:
        with one_thread():
            ended = yield from _run(setup, folder, trial, stop)
    except Exception as error:  # a method may raise anything, and must not lose the others
        folder.fail(trial.name, sentence(error))
        return FAILED
    if ended == DONE:
        clear(setup, folder, trial)
    return ended


def clear(setup: Setup, folder: Folder, trial: Trial) -> None:
    """Remove the folder of a finished run, where runs are not kept."""
    if not setup.config.keep_runs:
        shutil.rmtree(folder.run(trial.name), ignore_errors=True)


def sentence(error: Exception) -> str:
    """What went wrong, in one line; of what is not ours, with its kind."""
    text = " ".join(str(error).split())
    return text if isinstance(error, EvenscoreError) else f"{type(error).__name__}: {text}"


def _run(setup: Setup, folder: Folder, trial: Trial, stop: Callable[[], bool]) -> Generator[Progress, None, str]:
    seconds = 0.0
    try:
        for progress in train(setup.data, folder.run(trial.name), trial.config, stop):
            seconds = progress.seconds
            yield progress
    except Diverged as error:
        if trial.purpose == "judge":
            raise
        folder.finish(trial.name, {"distances": {}, "diverged": sentence(error)})
        return DONE
    if progress.event == "stopped" or stop():
        return STOPPED
    run = Run.open(folder.run(trial.name))
    found = _choose(setup, trial, run) if trial.purpose == "choose" else _judge(setup, trial, run)
    folder.finish(trial.name, {"trial": trial.words, **found, "seconds": seconds})
    return DONE


def _choose(setup: Setup, trial: Trial, run: Run) -> dict[str, Any]:
    """The distance at each guidance scale."""
    cache, seed = cache_in(setup.root), trial.config.seed
    return {"distances": {f"{g:g}": setup.judge.distance(run, seed, g, cache) for g in trial.guidances}}


def _judge(setup: Setup, trial: Trial, run: Run) -> dict[str, Any]:
    """All figures, the curves, and for the first seed the pictures."""
    name, (guidance,), seed = f"{trial.title}, seed {trial.config.seed}", trial.guidances, trial.config.seed
    found = setup.judge.judge(run, name, seed, guidance, cache_in(setup.root))
    if seed == PICTURED_SEED and setup.data.kind == "image":
        path = setup.root / "pictures" / f"{trial.name}.npz"
        save_pictures(path, run, setup.data, setup.config.at(guidance), setup.config.per_class)
    return {**found.to_json(), "curves": {"loss by group": loss_curves(run), "game": game_curves(run)}}
