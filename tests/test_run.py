"""A run is a folder: opened again as it was, refused where it does not fit, held by one process at a time."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from evenscore.checkpoint import load_checkpoint
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset, load
from evenscore.errors import CheckpointError, DataError, RunError
from evenscore.lock import hold
from evenscore.objectives import CBDM
from evenscore.run import DataCard, Run

Quick = Callable[..., TrainConfig]


def test_a_run_is_opened_as_it_was_made(tmp_path: Path, digits: Dataset, quick: Quick) -> None:
    config = quick(objective=CBDM(tau=0.5), seed=2**60 + 1)
    made = Run.create(tmp_path / "a" / "run", config, DataCard.of(digits))
    assert Run.exists(made.path)
    assert Run.open(made.path) == made
    assert sorted(path.name for path in made.path.iterdir()) == ["config.yaml"]


def test_the_card_knows_the_data(digits: Dataset) -> None:
    card = DataCard.of(digits)
    values = digits.values.astype("float64") / 127.5 - 1
    assert card.counts == digits.distribution.counts == card.labels.counts
    assert (card.shape, card.spec, card.fingerprint) == ((1, 8, 8), "digits:factor=50", digits.fingerprint)
    assert card.mean == pytest.approx([values.mean()], abs=1e-6)
    assert card.std == pytest.approx([values.std()], abs=1e-6)


def test_the_card_of_vectors_has_a_mean_for_each_entry() -> None:
    x = torch.randn(9000, 3, generator=torch.Generator().manual_seed(0)).numpy() * [1, 10, 0] + [0, 5, 2]
    card = DataCard.of(Dataset.from_arrays(x.astype("float32"), [0, 1, 2] * 3000))
    assert card.mean == pytest.approx(x.mean(0).tolist(), abs=1e-5)
    assert card.std == pytest.approx(x.std(0).tolist(), abs=1e-4)


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path, digits: Dataset, quick: Quick) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="exists and is not a run folder: choose another --out"):
        Run.create(tmp_path, quick(), DataCard.of(digits))
    with pytest.raises(RunError, match="exists and is not a run folder"):
        Run.create(tmp_path / "thesis.txt", quick(), DataCard.of(digits))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_what_a_killed_process_left_of_a_new_run_is_no_obstacle(tmp_path: Path, digits: Dataset, quick: Quick) -> None:
    (tmp_path / ".config.yaml.123.part").write_text("half")
    assert Run.open(Run.create(tmp_path, quick(), DataCard.of(digits)).path).config == quick()


def test_nothing_is_left_when_the_disk_is_full(
    tmp_path: Path, digits: Dataset, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(DataError, match="the disk is full"):
        Run.create(tmp_path / "run", quick(), DataCard.of(digits))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"train: {}", "cannot be understood"),
        (b"[1, 2", "cannot be understood"),
        (b"", "cannot be understood"),
        (b"\x00\xff", "cannot be understood"),
        (b"train: {steps: 3, objectiv: cbdm}\ndata: {}", "did you mean 'objective'"),
        (b"train: {steps: 3}\ndata: {spec: x}", "fingerprint is missing"),
    ],
)
def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(RunError, match=r"is not a run folder .*give a folder that `evenscore train` made"):
        Run.open(tmp_path)
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(RunError, match=words):
        Run.open(tmp_path)


def test_other_data_and_other_settings_are_refused(trained: Path, digits: Dataset, quick: Quick) -> None:
    run, before = Run.open(trained), (trained / "config.yaml").read_bytes()
    with pytest.raises(RunError, match="was trained on other data .digits:factor=50.: give that data"):
        run.adopt(quick(), DataCard.of(load("digits:factor=20")))
    with pytest.raises(RunError, match="was trained on other data"):
        run.check_data(load("digits"))
    with pytest.raises(RunError, match="was started with lr=0.001, now lr=0.01 was asked: give the same settings"):
        run.adopt(quick(lr=0.01), DataCard.of(digits))
    with pytest.raises(RunError, match="objective="):
        run.adopt(quick(objective=CBDM()), DataCard.of(digits))
    assert (trained / "config.yaml").read_bytes() == before


def test_the_budget_may_change_and_auto_takes_what_is_there(trained: Path, digits: Dataset, quick: Quick) -> None:
    run, card = Run.open(trained), DataCard.of(digits)
    assert run.adopt(quick(steps=99), card).config == quick(steps=99)
    asked = dataclasses.replace(quick(), network="auto", precision="auto", steps=None, minutes=1.0)
    assert run.adopt(asked, card).config == quick(steps=None, minutes=1.0)


def other_process(path: Path) -> str:
    """What another process says when it asks for the lock."""
    code = "import fcntl, sys; fcntl.flock(open(sys.argv[1], 'a'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    return subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True).stderr


def test_a_folder_is_held_by_one_at_a_time(trained: Path, tmp_path: Path) -> None:
    run = Run(tmp_path, Run.open(trained).config, Run.open(trained).card)
    with run.lock():
        with pytest.raises(RunError, match="is in use by another process: wait until it ends"), run.lock():
            pass
        assert "BlockingIOError" in other_process(tmp_path / "lock")
    assert other_process(tmp_path / "lock") == ""
    with run.lock():
        assert (tmp_path / "lock").is_file()


def test_a_folder_that_is_not_there_cannot_be_held(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"), hold(tmp_path / "none", "lock"):
        pass


def test_torn_lines_of_the_log_are_passed_over(trained: Path, tmp_path: Path) -> None:
    run = Run(tmp_path, Run.open(trained).config, Run.open(trained).card)
    assert run.records() == []
    for step in (1, 2, 3):
        run.log({"step": step, "loss": 0.5})
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 4, "los\xff')
    assert [record["step"] for record in run.records()] == [1, 2, 3]
    run.forget_after(2)
    run.log({"step": 9})
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.5}, {"step": 9}]


def test_the_denoiser_has_the_averaged_weights(trained: Path) -> None:
    run = Run.open(trained)
    denoiser, tensors = run.denoiser(), load_checkpoint(trained / "checkpoints").tensors
    assert not denoiser.training
    assert denoiser.shape == (1, 8, 8)
    assert all(torch.equal(value, tensors[f"ema.{key}"]) for key, value in denoiser.state_dict().items())
    assert not all(torch.equal(tensors[f"model.{key}"], tensors[f"ema.{key}"]) for key in denoiser.state_dict())


def test_a_checkpoint_of_another_network_is_refused(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "run")
    config = tmp_path / "run" / "config.yaml"
    config.write_text(config.read_text().replace("network: tiny", "network: small"))
    with pytest.raises(RunError, match=r"is of another network than its config\.yaml: restore the folder"):
        Run.open(tmp_path / "run").denoiser()
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        Run.open(tmp_path / "run").denoiser()
