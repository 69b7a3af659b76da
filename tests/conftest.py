"""Shared by all tests: the smallest real data set, a quick configuration, a trained run, and the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from evenscore.cli import main
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset, load
from evenscore.training import train

QUICK: dict[str, Any] = {
    "network": "tiny",
    "precision": "float32",
    "memory_format": "channels_last",
    "batch_size": 16,
    "steps": 4,
    "checkpoint_every": 2,
    "previews": 0,
    "warmup": 2,
}


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """The built-in digits, the largest class about 50 times the smallest."""
    return load("digits:factor=50")


@pytest.fixture(scope="session")
def quick() -> Callable[..., TrainConfig]:
    """``quick(steps=6)``: a configuration that trains in a moment, with what is given changed."""
    return lambda **changed: TrainConfig(**{**QUICK, **changed})


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, digits: Dataset, quick: Callable[..., TrainConfig]) -> Path:
    """A run folder of four steps; tests must not change it."""
    path = tmp_path_factory.mktemp("runs") / "run"
    assert [progress.event for progress in train(digits, path, quick())] == ["step", "saved", "step", "saved", "done"]
    return path


class Result(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    def assert_refused(self, code: int, words: str) -> None:
        """The command failed with that code and one sentence, its last words, that holds the given ones."""
        sentences = [line for line in self.err.splitlines() if line.startswith("evenscore: ")]
        assert self.code == code, self.err
        assert len(sentences) == self.err.count("evenscore: ") == 1
        assert self.err.splitlines()[-1] == sentences[0]
        assert words in sentences[0]
        assert "Traceback" not in self.err
        assert self.out == ""


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """``cli("train", "digits", "--out", path)`` runs a command in this process."""

    def run(*arguments: object) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main([str(a) for a in arguments])
        captured = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return Result(caught.value.code, captured.out, captured.err)

    return run
