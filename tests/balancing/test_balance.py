"""Balancing: exactly the planned numbers, real images untouched, interruptions without trace, refusals counted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import evenscore.balancing.collect
import evenscore.balancing.gate
import evenscore.balancing.job
import evenscore.balancing.summary
from evenscore.balancing import BalanceConfig, Stage, balance
from evenscore.balancing.gate import Gate, GateSettings, Verdict
from evenscore.balancing.job import HIDDEN
from evenscore.commands.balance import make, show
from evenscore.commands.demo import free_folder
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset, load
from evenscore.errors import DataError, RunError, UsageError
from evenscore.lock import hold
from evenscore.run import Run
from evenscore.sampling import Sampler
from evenscore.training import train
from tests.judges import brief_judges

Quick = Callable[..., TrainConfig]
COUNTS = {"cat": 9, "dog": 4, "owl": 1}


class Strict:
    """A gate that looks at single pixels, so that it refuses some samples for either reason, always the same ones."""

    refused: tuple[int, ...] = ()

    def __init__(self, *_: object) -> None:
        pass

    def judge(self, x: Tensor, labels: Tensor) -> Verdict:
        copy = (x[:, 0, 0, 0] > 0.3).numpy() | np.isin(labels.numpy(), self.refused)
        wrong = (x[:, 0, 1, 1] > 0.3).numpy() & ~copy
        zeros = np.zeros(len(x))
        return Verdict(copy, wrong, zeros + 1, np.zeros(len(x), dtype=np.int64), zeros + 0.5)


@pytest.fixture(autouse=True)
def quick_classifier(monkeypatch: pytest.MonkeyPatch) -> None:
    """Classifiers that are trained for three steps only."""
    brief_judges(monkeypatch)


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> type[Strict]:
    monkeypatch.setattr(evenscore.balancing.job, "Gate", Strict)
    monkeypatch.setattr(evenscore.balancing.collect, "EXTRA", 6)
    monkeypatch.setattr(Strict, "refused", ())
    return Strict


def photos(root: Path, counts: dict[str, int], digits: Dataset) -> Path:
    """A folder of digits under other names, in several formats."""
    for k, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for i, index in enumerate(digits.of_class(k)[:count]):
            suffix = ("png", "bmp")[i % 2]
            Image.fromarray(digits.values[index][..., 0]).save(root / name / f"{i} of {name}.{suffix}")
    return root


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> Dataset:
    root = tmp_path_factory.mktemp("photos")
    photos(root / "train", COUNTS, digits)
    photos(root / "test", {"cat": 5, "dog": 5, "owl": 5}, digits)
    return load(str(root))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, data: Dataset, quick: Quick) -> BalanceConfig:
    """Balancing with a run of two steps."""
    run = tmp_path_factory.mktemp("balance") / "run"
    list(train(data, run, quick(steps=2)))
    return BalanceConfig(run=run, sampler=Sampler(nfe=3, guidance=2.0), batch_size=4, seed=3)


def files(folder: Path) -> dict[str, bytes]:
    """What a person sees of a folder, but for the page and the card, which hold the time."""
    skipped = (HIDDEN, "index.html", "README.md")
    found = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    return {name: content for name, content in found.items() if not name.startswith(skipped)}


def metadata(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metadata.jsonl").read_text(encoding="utf-8").splitlines()]


def rows(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "summary.json").read_text())["classes"]
    return found


def finish(work: Iterator[Stage]) -> Stage:
    *_, last = work
    assert last.name == "done"
    return last


def test_every_class_gets_exactly_what_it_lacks(data: Dataset, config: BalanceConfig, tmp_path: Path) -> None:
    finish(balance(data, tmp_path / "out", config))
    again = load(str(tmp_path / "out"))
    assert again.distribution.counts == (9, 9, 9)
    assert again.class_names == ("cat", "dog", "owl")
    assert (again.shape, again.skipped) == (data.shape, ())
    lines = metadata(tmp_path / "out")
    assert {line["file_name"] for line in lines} == {n for n in files(tmp_path / "out") if n.endswith((".png", ".bmp"))}
    made = [line for line in lines if line["synthetic"]]
    assert len(made) == 5 + 8
    assert all(set(line["scores"]) == {"copy_ratio", "probability", "nearest"} for line in made)
    assert all(line["seed"] == 3 and line["run"] == "run" for line in made)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["met"] is True
    assert [row["made"] for row in summary["classes"]] == [0, 5, 8]
    assert 0 <= summary["agreement"] <= 1
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert all(name in page for name in COUNTS)
    assert (tmp_path / "out" / "README.md").is_file()


def test_real_images_are_taken_as_they_are(data: Dataset, config: BalanceConfig, tmp_path: Path) -> None:
    assert data.files is not None
    before = {path: path.read_bytes() for path in data.files}
    finish(balance(data, tmp_path / "out", config))
    assert {path: path.read_bytes() for path in data.files} == before
    real = [line["file_name"] for line in metadata(tmp_path / "out") if not line["synthetic"]]
    assert len(real) == len(data)
    by_name = {path.name: content for path, content in before.items()}
    for name in real:
        assert (tmp_path / "out" / name).read_bytes() == by_name[name.split("-", 2)[2]]


def test_images_without_files_are_written_unchanged(
    digits: Dataset, trained: Path, tmp_path: Path, config: BalanceConfig
) -> None:
    small = replace(config, run=trained, target=(4, 3, 3, 2, 1, 0, 0, 0, 0, 3))
    finish(balance(digits, tmp_path / "out", small))
    lines = metadata(tmp_path / "out")
    assert sum(line["synthetic"] for line in lines) == 1
    for line in lines:
        if not line["synthetic"]:
            index = int(line["file_name"].split("-")[1].removesuffix(".png"))
            assert np.array_equal(
                np.asarray(Image.open(tmp_path / "out" / line["file_name"])), digits.values[index][..., 0]
            )
            assert line["label"] == str(digits.labels[index])


def stopping_after(batches: int) -> Callable[[], bool]:
    seen: list[int] = []
    return lambda: bool(seen.append(1)) or len(seen) >= batches


@pytest.mark.parametrize("batches", [1, 2, 3])
def test_an_interrupted_job_ends_with_the_same_files(
    data: Dataset, config: BalanceConfig, tmp_path: Path, strict: type[Strict], batches: int
) -> None:
    finish(balance(data, tmp_path / "whole", config))
    out = tmp_path / "parts"
    interruptions = 0
    while True:
        *_, last = balance(data, out, config, stopping_after(batches))
        if last.name == "done":
            break
        assert last.name == "stopped"
        interruptions += 1
        assert not (out / "index.html").exists()
        with (out / "metadata.jsonl").open("a") as file:
            file.write('{"file_name": "torn')  # killed while it wrote
    assert interruptions >= 1
    assert files(out) == files(tmp_path / "whole")


def test_a_job_killed_while_it_wrote_the_real_images_goes_on(
    data: Dataset, config: BalanceConfig, tmp_path: Path
) -> None:
    finish(balance(data, tmp_path / "whole", config))
    work = balance(data, tmp_path / "parts", config)
    assert [next(work).name for _ in range(2)] == ["plan", "write"]
    work.close()
    (tmp_path / "parts" / "cat").mkdir(exist_ok=True)
    (tmp_path / "parts" / "cat" / "real-0000000-0 of cat.png").write_bytes(b"half")
    (tmp_path / "parts" / "metadata.jsonl").write_text('{"file')
    finish(balance(data, tmp_path / "parts", config))
    assert files(tmp_path / "parts") == files(tmp_path / "whole")


def test_refusals_are_counted_and_made_up_for(
    data: Dataset, config: BalanceConfig, tmp_path: Path, strict: type[Strict]
) -> None:
    finish(balance(data, tmp_path / "out", replace(config, target=15, tries=50)))
    assert load(str(tmp_path / "out")).distribution.counts == (15, 15, 15)
    for row in rows(tmp_path / "out"):
        assert row["candidates"] == row["made"] + row["copies"] + row["mislabelled"]
        assert row["kept"] + row["made"] == row["wanted"] == 15
    assert sum(row["copies"] for row in rows(tmp_path / "out")) > 0
    assert sum(row["mislabelled"] for row in rows(tmp_path / "out")) > 0
    numbers = [line["index"] for line in metadata(tmp_path / "out") if line["synthetic"]]
    assert len(set(numbers)) == len(numbers)


def test_a_class_that_cannot_be_filled_is_said_to_fall_short(
    data: Dataset,
    config: BalanceConfig,
    tmp_path: Path,
    strict: type[Strict],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(strict, "refused", (2,))
    summary = make(data, tmp_path / "out", replace(config, tries=2))
    owl = summary["classes"][2]
    assert (owl["made"], owl["copies"], owl["candidates"]) == (0, 22, 22), "2 tries for each of 8, and 6 more"
    assert summary["met"] is False
    capsys.readouterr()
    show(summary, tmp_path / "out")
    assert "class owl falls short: 1 of 9; the page says why" in capsys.readouterr().out
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "22 candidates" in page
    assert load(str(tmp_path / "out")).distribution.counts == (9, 9, 1)


def test_a_target_below_what_there_is_keeps_a_seeded_choice(
    data: Dataset, config: BalanceConfig, tmp_path: Path
) -> None:
    for name, seed in (("one", 3), ("same", 3), ("other", 4)):
        finish(balance(data, tmp_path / name, replace(config, target=(3, 4, 2), seed=seed)))
    assert load(str(tmp_path / "one")).distribution.counts == (3, 4, 2)
    assert [row["kept"] for row in rows(tmp_path / "one")] == [3, 4, 1]
    kept = {name: sorted(p.name for p in (tmp_path / name / "cat").iterdir()) for name in ("one", "same", "other")}
    assert kept["one"] == kept["same"] != kept["other"]


def test_a_run_is_trained_inside_the_folder_when_none_is_given(
    data: Dataset, config: BalanceConfig, tmp_path: Path, quick: Quick
) -> None:
    own = replace(config, run=None, train=quick(steps=2))
    names = [stage.name for stage in balance(data, tmp_path / "out", own, stop=stopping_after(1))]
    assert names == ["plan", "train"]
    shutil.move(tmp_path / "out", tmp_path / "moved")
    names = [stage.name for stage in balance(data, tmp_path / "moved", own)]
    assert names[-1] == "done"
    assert Run.open(tmp_path / "moved" / HIDDEN / "run").config.steps == 2
    assert [stage.name for stage in balance(data, tmp_path / "moved", own)] == ["plan", "done"]
    with pytest.raises(RunError, match=r"was made with train\.steps=2, now train\.steps=3 was asked"):
        finish(balance(data, tmp_path / "moved", replace(own, train=quick(steps=3))))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"seed": 4}, "seed=3, now seed=4"),
        ({"target": 12}, "wanted"),
        ({"sampler": Sampler(nfe=4)}, "nfe=3, now nfe=4"),
    ],
)
def test_another_job_in_the_folder_is_refused(
    data: Dataset, config: BalanceConfig, tmp_path: Path, changed: dict[str, Any], words: str
) -> None:
    *_, last = balance(data, tmp_path / "out", config, stopping_after(1))
    assert last.name == "stopped"
    before = files(tmp_path / "out")
    with pytest.raises(RunError, match=words):
        finish(balance(data, tmp_path / "out", replace(config, **changed)))
    with hold(tmp_path / "out" / HIDDEN, "lock"), pytest.raises(RunError, match="is in use by another process"):
        finish(balance(data, tmp_path / "out", config))
    assert files(tmp_path / "out") == before


def test_a_state_that_cannot_be_understood_is_refused(data: Dataset, config: BalanceConfig, tmp_path: Path) -> None:
    list(balance(data, tmp_path / "out", config, stopping_after(1)))
    for content in ("", "[]", '{"other": 1}'):
        (tmp_path / "out" / HIDDEN / "state.json").write_text(content)
        with pytest.raises(RunError, match="cannot be understood: remove the folder"):
            finish(balance(data, tmp_path / "out", config))


@pytest.mark.parametrize("name", ["test", "Val", "validation"])
def test_nothing_is_written_into_held_out_data(data: Dataset, config: BalanceConfig, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is named like held-out data, which must stay real: choose another name"):
        finish(balance(data, tmp_path / name, config))
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_is_refused_before_anything_is_written(
    data: Dataset, digits: Dataset, config: BalanceConfig, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    vectors = Dataset.from_arrays(np.zeros((4, 3), dtype=np.float32), [0, 1, 0, 1])
    with pytest.raises(UsageError, match="arrays holds vectors: balance writes folders of images"):
        finish(balance(vectors, out, config))
    with pytest.raises(RunError, match="was trained on other data"):
        finish(balance(digits, out, config))
    with pytest.raises(UsageError, match=r"target \[1, 2\] does not fit 3 classes"):
        finish(balance(data, out, replace(config, target=(1, 2))))
    with pytest.raises(UsageError, match="lies inside the data"):
        finish(balance(data, Path(data.name) / "balanced", config))
    assert not out.exists()
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="exists and is not empty"):
        finish(balance(data, out, config))
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]


def test_class_names_stay_inside_the_folder(
    digits: Dataset, tmp_path: Path, quick: Quick, config: BalanceConfig
) -> None:
    names = ["../../up", "..", "a/b"]
    some = np.concatenate([digits.of_class(k)[:n] for k, n in enumerate((5, 3, 2))])
    odd = Dataset.from_arrays(digits.values[some], digits.labels[some], names)
    list(train(odd, tmp_path / "run", quick(steps=1)))
    finish(balance(odd, tmp_path / "deep" / "er" / "out", replace(config, run=tmp_path / "run")))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "run"]
    assert sorted(path.name for path in (tmp_path / "deep" / "er").iterdir()) == ["out"]
    again = load(str(tmp_path / "deep" / "er" / "out"))
    assert again.distribution.counts == (5, 5, 5)
    assert sorted(again.class_names) == sorted(names), "the metadata keeps the names as they are"


def test_the_gate_lets_new_images_pass_and_refuses_copies(data: Dataset) -> None:
    gate = Gate(data, GateSettings(), seed=0)
    noise = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    verdict = gate.judge(noise, labels)
    assert verdict.passed.all()
    copies = gate.judge(data.tensor([0, 10]) + 0.01, torch.from_numpy(data.labels[[0, 10]]))
    assert copies.copy.tolist() == [True, True]
    assert copies.nearest.tolist() == [0, 10]
    assert not copies.mislabelled.any()
    assert Gate(data, GateSettings(copy_ratio=0.0), seed=0).judge(data.tensor([0]), torch.tensor([0])).passed.all()


def test_the_gate_refuses_what_is_surely_of_another_class(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(data, GateSettings(confidence=0.9), seed=0)
    sure = torch.tensor([[0.05, 0.95, 0.0], [0.95, 0.05, 0.0], [0.2, 0.8, 0.0], [0.0, 0.95, 0.05]])
    monkeypatch.setattr(evenscore.balancing.gate, "probabilities", lambda *_: sure)
    noise = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    verdict = gate.judge(noise, torch.tensor([0, 0, 0, 2]))
    assert verdict.mislabelled.tolist() == [True, False, False, False], "owl has too few real images to be judged"
    assert verdict.probability.tolist() == pytest.approx([0.05, 0.95, 0.2, 0.05])


def test_a_demo_goes_on_where_it_stopped_and_keeps_what_is_finished(tmp_path: Path) -> None:
    assert free_folder(tmp_path / "demo") == tmp_path / "demo"
    (tmp_path / "demo").mkdir()
    assert free_folder(tmp_path / "demo") == tmp_path / "demo"
    (tmp_path / "demo" / "summary.json").write_text("{}")
    assert free_folder(tmp_path / "demo") == tmp_path / "demo-2"
