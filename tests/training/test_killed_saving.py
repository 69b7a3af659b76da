"""A kill at every instant of a save: nothing is corrupt, ``best`` is never behind ``last``, and resuming ends as without."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.interrupted import corrupt
from evenscore.checkpoint import checkpoint_name, load_checkpoint, pointed
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset
from evenscore.training import train

Quick = Callable[..., TrainConfig]
SETTINGS: dict[str, Any] = {"steps": 6, "lr": 0.003, "ema": 0.0}
"""Under them each checkpoint is better than the one before."""


class Killed(BaseException):
    """Stands for kill -9: nothing of ours catches it."""


class Instants:
    """Counts what is done to files, and kills before the one with the number ``fatal``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done, self.fatal = 0, -1
        for owner, name in ((os, "replace"), (os, "fsync"), (Path, "unlink")):
            monkeypatch.setattr(owner, name, self.counted(getattr(owner, name)))

    def counted(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """``work`` as an instant of its own."""

        def instant(*given: Any, **named: Any) -> Any:
            if self.done == self.fatal:
                raise Killed
            self.done += 1
            return work(*given, **named)

        return instant

    def arm(self, fatal: int) -> None:
        """Begin to count; kill before that number."""
        self.done, self.fatal = 0, fatal


def to_step(data: Dataset, path: Path, config: TrainConfig, step: int) -> None:
    """Train until that step is saved."""
    training = train(data, path, config)
    for progress in training:
        if progress.step == step and progress.event == "saved":
            break
    training.close()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, digits: Dataset, quick: Quick) -> Path:
    """``whole``: a run to the end; ``begun``: the same run of which two steps are saved."""
    root = tmp_path_factory.mktemp("killed")
    list(train(digits, root / "whole", quick(**SETTINGS)))
    to_step(digits, root / "begun", quick(**SETTINGS), 2)
    assert pointed(root / "whole" / "checkpoints", "best") == checkpoint_name(6)
    return root


def assert_consistent(run: Path) -> None:
    """All that is named is complete, and what is called best is no older than the best that the last one knows of."""
    assert corrupt(run) == []
    folder = run / "checkpoints"
    best, last = (load_checkpoint(folder, pointer).state for pointer in ("best", "last"))
    assert best["best_step"] == best["step"], "it was the best one when it was written"
    assert best["step"] >= last["best_step"]
    assert best["best"] <= last["best"]


def test_a_kill_at_every_instant_of_a_save(
    runs: Path, tmp_path: Path, digits: Dataset, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, instants = quick(**SETTINGS), Instants(monkeypatch)
    shutil.copytree(runs / "begun", tmp_path / "counted")
    instants.arm(-1)
    to_step(digits, tmp_path / "counted", config, 4)
    number, ahead = instants.done, 0
    assert number > 20
    assert pointed(tmp_path / "counted" / "checkpoints", "best") == checkpoint_name(4)
    whole = load_checkpoint(runs / "whole" / "checkpoints").tensors
    for fatal in range(number):
        run = tmp_path / str(fatal)
        shutil.copytree(runs / "begun", run)
        instants.arm(fatal)
        with pytest.raises(Killed):
            to_step(digits, run, config, 4)
        instants.arm(-1)
        assert_consistent(run)
        ahead += pointed(run / "checkpoints", "best") != pointed(run / "checkpoints", "last")
        list(train(digits, run, config))
        assert pointed(run / "checkpoints", "best") == pointed(run / "checkpoints", "last") == checkpoint_name(6)
        tensors = load_checkpoint(run / "checkpoints", "best").tensors
        assert [key for key in whole if not torch.equal(whole[key], tensors[key])] == []
        shutil.rmtree(run)
    assert ahead > 0, "some kills fell between the two pointers"
