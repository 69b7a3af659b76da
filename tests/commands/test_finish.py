"""``evenscore finish``: a run with heads samples like one made by hand, and what cannot be finished is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from evenscore.checkpoint import load_checkpoint
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset
from evenscore.errors import RunError
from evenscore.games.heads import HeadSettings
from evenscore.networks.heads import ClassHeads, feature_rows, last_layers, target_rows, trunk_of
from evenscore.random import generator
from evenscore.run import HEADS, Run
from evenscore.training import train
from evenscore.training.finish import Finisher

Cli = Callable[..., Any]
FEW = ["--set", "rows=8", "--set", "draws=1", "--set", "folds=2"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, digits: Dataset, quick: Callable[..., TrainConfig]) -> Path:
    """A run whose last layer has far to go."""
    path = tmp_path_factory.mktemp("runs") / "run"
    list(train(digits, path, quick(steps=2)))
    return path


def test_from_a_run_to_samples_of_its_heads(cli: Cli, source: Path, digits: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "finished"
    done = cli("finish", source, "--out", out, *FEW, "--set", "kappa=0.5", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["used"] is True
    assert str(found["k0"]) in {str(float(k)) for k in found["held_out_by_k0"] if k != "trained"}
    assert [c["trained_on"] for c in found["classes"]] == list(digits.distribution.counts)
    for c in found["classes"]:
        assert c["gap"] > 1e-3
        assert c["gap_after"] < 1e-12 * c["gap"]
    mean = {key: sum(c[key] for c in found["classes"]) / 10 for key in ("test", "test_trained", "held_out")}
    assert mean["test"] < mean["test_trained"], "a barely trained last layer is easily bettered"
    assert json.loads((out / "heads.json").read_text()) == found
    assert not [p for p in tmp_path.iterdir() if p != out], "nothing unfinished is left"

    trained, finished = Run.open(source).denoiser(), Run.open(out).denoiser()
    correction = load_checkpoint(out / "checkpoints").tensors[HEADS]
    assert correction.shape == (11, 1, 217)
    assert not bool(correction[10].any())
    x_t, t, y = torch.randn(11, 1, 8, 8, generator=generator(0)), torch.linspace(0.1, 0.9, 11), torch.arange(11)
    with torch.no_grad():
        before, after = trained.predict(x_t, t, y).x0, finished.predict(x_t, t, y).x0
        trained.backbone = ClassHeads(trained.backbone, correction)
        assert torch.equal(trained.predict(x_t, t, y).x0, after)
    assert torch.equal(before[10], after[10]), "the null label keeps the trained layer"
    assert all(not torch.equal(before[k], after[k]) for k in range(10))
    assert cli("sample", out, "--out", tmp_path / "samples", "--per-class", "1", "--nfe", "2").code == 0
    assert len(list((tmp_path / "samples").rglob("*.png"))) == 10


def test_the_losses_are_those_of_the_finished_run(source: Path, digits: Dataset, tmp_path: Path) -> None:
    run = Run.open(source)
    finisher = Finisher(run, digits, HeadSettings(k0=5.0, rows=8, draws=1, folds=2))
    shares = list(finisher.gather())
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    heads = finisher.fit()
    finished = finisher.write(tmp_path / "out", heads, {}).denoiser()
    trunk = trunk_of(run.denoiser().backbone)
    x0, y = digits.tensor(digits.of_class(4)[:3]), torch.full((3,), 4)
    t, eps = torch.tensor([0.2, 0.5, 0.8]), torch.randn(x0.shape, generator=generator(1))
    x_t = finished.process.perturb(x0, t, eps)
    with torch.no_grad():
        seen, level = finished.seen(x_t, t)
        rows = feature_rows(trunk, trunk.features(seen, level, y)).double()
        raw = target_rows(trunk, finished.backbone(seen, level, y))
    torch.testing.assert_close(rows @ heads.profile[4].T, raw.double(), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(finisher.problem().trained, last_layers(trunk, torch.arange(10)))


def test_the_same_seed_gives_the_same_heads(cli: Cli, source: Path, tmp_path: Path) -> None:
    tensors = []
    for name in ("one", "other"):
        assert cli("finish", source, "--out", tmp_path / name, *FEW, "--set", "k0=3", "--seed", "4").code == 0
        tensors.append(load_checkpoint(tmp_path / name / "checkpoints").tensors[HEADS])
    assert torch.equal(*tensors)


def test_a_class_may_have_fewer_images_than_there_are_folds(
    cli: Cli, source: Path, digits: Dataset, tmp_path: Path
) -> None:
    few = ("--set", "rows=8", "--set", "draws=1", "--set", "folds=5")
    assert min(digits.distribution.counts) < 5
    done = cli("finish", source, "--out", tmp_path / "out", *few, "--json")
    assert done.code == 0, done.err
    assert all(c["held_out"] is not None and c["gap_after"] >= 0 for c in json.loads(done.out)["classes"])


def test_the_table_for_people(cli: Cli, source: Path, tmp_path: Path) -> None:
    done = cli("finish", source, "--out", tmp_path / "out", *FEW, "--set", "k0=1e6", "--set", "law=uniform")
    assert done.code == 0
    assert "gap after" in done.out
    assert "the heads of k0=1e+06 are used, as was asked" in done.out
    assert f"next: evenscore sample {tmp_path / 'out'}" in done.err


def test_a_finished_run_is_neither_trained_nor_finished_again(
    cli: Cli, source: Path, digits: Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert cli("finish", source, "--out", out, *FEW, "--set", "k0=3").code == 0
    with pytest.raises(RunError, match="train on in the run that it came from"):
        list(train(digits, out, Run.open(out).config))
    cli("finish", out, "--out", tmp_path / "again", *FEW).assert_refused(3, "was finished with heads already")


def test_what_is_refused(cli: Cli, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cli("finish", source, "--out", out, "--set", "kapa=1").assert_refused(2, "did you mean 'kappa'")
    cli("finish", source, "--out", out, "--set", "law=similar").assert_refused(2, "did you mean 'similarity'")
    cli("finish", tmp_path / "none", "--out", out).assert_refused(3, "is not a run folder")
    cli("finish", source, "digits:factor=10", "--out", out).assert_refused(3, "was trained on other data")
    cli("finish", source, "--out", source).assert_refused(3, "exists: choose another --out")
    assert not out.exists()


def test_separate_players_have_no_common_trunk(
    cli: Cli, digits: Dataset, quick: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    list(train(digits, tmp_path / "run", quick(steps=1, players="separate")))
    cli("finish", tmp_path / "run", "--out", tmp_path / "out").assert_refused(2, "has no trunk that all labels share")


def test_data_that_moved(cli: Cli, source: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(source, tmp_path / "run"))
    config = path / "config.yaml"
    config.write_text(config.read_text().replace("spec: digits:factor=50", "spec: gone.npz"))
    refused = cli("finish", path, "--out", tmp_path / "out")
    refused.assert_refused(3, "give the data of the run, as `evenscore finish")
