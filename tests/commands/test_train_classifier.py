"""``evenscore train-classifier``, and the samples that its classifier guides: what is kept, what goes on, what is refused."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evenscore.checkpoint import load_checkpoint
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset, load
from evenscore.errors import RunError, UsageError
from evenscore.lock import hold
from evenscore.objectives.reweighting import Reweighting
from evenscore.run import Run
from evenscore.training import train
from evenscore.training.classifier import ClassifierTrainer
from evenscore.training.run_classifier import classifier_config, classifier_folder, learned_law, run_classifier

QUICK = ["--steps", "6", "--set", "batch_size=16", "--set", "save_every=2"]
SAMPLE = ["--per-class", "1", "--nfe", "3"]
GUIDED = [*SAMPLE, "--guidance-method", "classifier"]


Cli = Callable[..., Any]


@pytest.fixture
def path(tmp_path: Path, trained: Path) -> Path:
    """A run of its own."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def weights(run: Run) -> dict[str, torch.Tensor]:
    return dict(load_checkpoint(classifier_folder(run)).tensors)


def test_from_a_run_to_guided_samples(cli: Cli, path: Path, tmp_path: Path) -> None:
    before = files(path)
    done = cli("train-classifier", path, *QUICK, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["steps"], found["event"]) == (6, "done")
    assert found["loss"] == pytest.approx(2.3, abs=0.1)
    assert "step 6" in done.err
    kept = files(path)
    assert {key: kept[key] for key in before} == before, "the run itself is left as it was"
    assert {key.split("/")[0] for key in kept.keys() - before.keys()} == {"classifier"}
    for name, extra in {
        "plain": [*SAMPLE],
        "zero": [*GUIDED, "--set", "weight=0"],
        "guided": [*GUIDED, "--set", "weight=4"],
        "pure": [*GUIDED, "--guidance", 0],
    }.items():
        assert cli("sample", path, "--out", tmp_path / name, *extra).code == 0
    made = {
        n: {k: v for k, v in files(tmp_path / n).items() if k.endswith(".png")} for n in ("plain", "zero", "guided")
    }
    assert len(made["plain"]) == 10
    assert made["zero"] == made["plain"] != made["guided"]
    line = json.loads((tmp_path / "pure" / "metadata.jsonl").read_text().splitlines()[0])
    assert (line["guidance_method"], line["guidance_settings"]) == ("classifier", {"weight": 1.0})


def test_the_same_command_goes_on_and_ends_with_the_same_weights(cli: Cli, path: Path, digits: Dataset) -> None:
    run = Run.open(path)
    config = classifier_config(run, {"steps": "6", "batch_size": "16", "save_every": "2"})
    asked = iter([False] * 3 + [True])
    events = [
        p.event for p in ClassifierTrainer(digits, config, classifier_folder(run), lambda: next(asked)).run_to_end()
    ]
    assert events == ["step", "saved", "step", "stopped"]
    refused = cli("sample", path, "--out", path.parent / "out", *GUIDED)
    refused.assert_refused(3, "was trained for 3 of 6 steps: give the command that trains it once more")
    assert cli("train-classifier", path, *QUICK).code == 0
    resumed = weights(run)
    shutil.rmtree(classifier_folder(run))
    whole = cli("train-classifier", path, "digits:factor=50", *QUICK, "--json")
    for key, value in weights(run).items():
        assert torch.equal(value, resumed[key]), key
    again = cli("train-classifier", path, *QUICK, "--json")
    keys = ("steps", "loss", "accuracy", "event")
    assert {key: json.loads(again.out)[key] for key in keys} == {key: json.loads(whole.out)[key] for key in keys}


def test_a_signal_stops_with_a_checkpoint(cli: Cli, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_step = ClassifierTrainer._step

    def interrupted(trainer: ClassifierTrainer) -> None:
        one_step(trainer)
        if trainer.step == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(ClassifierTrainer, "_step", interrupted)
    stopped = cli("train-classifier", path, *QUICK, "--json")
    assert stopped.code == 130
    assert (json.loads(stopped.out)["steps"], json.loads(stopped.out)["event"]) == (3, "stopped")
    assert "the same command goes on from here" in stopped.err
    done = cli("train-classifier", path, *QUICK, "--json")
    assert (done.code, json.loads(done.out)["steps"]) == (0, 6)


def test_it_has_the_process_of_the_run_and_the_law_that_the_run_has_seen(path: Path, digits: Dataset) -> None:
    run = Run.open(path)
    assert run.config.policy == "capped"
    counts = torch.tensor(digits.distribution.counts, dtype=torch.float64)
    capped = counts.clamp_max(50) / counts.clamp_max(50).sum()
    torch.testing.assert_close(torch.tensor(learned_law(run), dtype=torch.float64), capped, rtol=1e-8, atol=0)
    weighted = replace(run, config=replace(run.config, objective=Reweighting(scheme="inverse"), policy="as-found"))
    assert learned_law(weighted) == pytest.approx([0.1] * 10), "weights 1/n undo the law of the batches"
    ve = replace(run, config=replace(run.config, process="ve"))
    assert classifier_config(ve, {"lr": "0.01"}).process == "ve"
    with pytest.raises(UsageError, match="law must be left out: the run decides it"):
        classifier_config(run, {"law": "1,2"})


def test_vectors_have_classifiers_too(cli: Cli, tmp_path: Path, quick: Callable[..., TrainConfig]) -> None:
    values = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    np.savez(tmp_path / "data.npz", train_images=values, train_labels=np.arange(12) % 2)
    list(train(load(str(tmp_path / "data.npz")), tmp_path / "run", quick(steps=1)))
    assert cli("train-classifier", tmp_path / "run", *QUICK).code == 0
    assert cli("sample", tmp_path / "run", "--out", tmp_path / "out", *GUIDED, "--format", "npz").code == 0
    assert np.load(tmp_path / "out" / "samples.npz")["train_images"].shape == (2, 3)


def test_data_that_moved_are_given_and_other_data_refused(
    cli: Cli, tmp_path: Path, digits: Dataset, quick: Callable[..., TrainConfig]
) -> None:
    first, moved = tmp_path / "first.npz", tmp_path / "moved.npz"
    np.savez(first, train_images=digits.values, train_labels=digits.labels)
    list(train(load(str(first)), tmp_path / "run", quick(steps=1)))
    first.rename(moved)
    lost = cli("train-classifier", tmp_path / "run", *QUICK)
    lost.assert_refused(3, f"give the data of the run, as `evenscore train-classifier {tmp_path / 'run'} DATA`")
    assert f"trained on {first}, which cannot be read now" in lost.err
    cli("train-classifier", tmp_path / "run", "digits", *QUICK).assert_refused(3, "was trained on other data")
    np.savez(first, train_images=255 - digits.values, train_labels=digits.labels)
    changed = cli("train-classifier", tmp_path / "run", *QUICK)
    changed.assert_refused(3, "first.npz holds other data than when")
    assert not (tmp_path / "run" / "classifier").exists()
    assert cli("train-classifier", tmp_path / "run", moved, *QUICK).code == 0


WRONG: list[tuple[list[str], int, str]] = [
    (["nowhere"], 3, "nowhere is not a run folder"),
    (["RUN", "--set", "process=ve"], 2, "process must be left out: the run decides it"),
    (["RUN", "--set", "polcy=sqrt"], 2, "unknown key 'polcy': did you mean 'policy'?"),
    (["RUN", "--set", "policy=sqr"], 2, "unknown sampling policy 'sqr': did you mean 'sqrt'?"),
    (["RUN", "--set", "lr=fast"], 2, "lr takes a number"),
    (["RUN", "--steps", "0"], 2, "steps must be above 0"),
    (["RUN", "nowhere/at/all"], 3, "do not exist"),
]


@pytest.mark.parametrize(
    ("arguments", "code", "words"), WRONG, ids=lambda v: " ".join(v) if isinstance(v, list) else ""
)
def test_requests_that_are_wrong(cli: Cli, trained: Path, arguments: list[str], code: int, words: str) -> None:
    given = [str(trained) if a == "RUN" else a for a in arguments]
    cli("train-classifier", *given).assert_refused(code, words)
    assert not (trained / "classifier").exists()


def test_a_run_without_a_classifier_is_told_how_to_get_one(cli: Cli, trained: Path, tmp_path: Path) -> None:
    refused = cli("sample", trained, "--out", tmp_path / "out", *GUIDED)
    refused.assert_refused(3, f"has no classifier: train one with `evenscore train-classifier {trained}`")
    assert not (tmp_path / "out").exists()


def test_what_is_in_the_folder_is_never_replaced_or_trusted_blindly(cli: Cli, path: Path, tmp_path: Path) -> None:
    assert cli("train-classifier", path, *QUICK).code == 0
    folder = path / "classifier"
    other = cli("train-classifier", path, *QUICK, "--seed", 3)
    other.assert_refused(3, "of other data or settings (seed=0 then, 3 now)")
    with hold(folder, "lock"):
        cli("train-classifier", path, *QUICK).assert_refused(3, "is in use by another process")
    run = Run.open(path)
    with pytest.raises(RunError, match="is that of another run"):
        run_classifier(replace(run, config=replace(run.config, process="ve")))
    for file in folder.glob("*.safetensors"):
        file.write_bytes(b"x" * 100)
    for command in (["train-classifier", path, *QUICK], ["sample", path, "--out", tmp_path / "out", *GUIDED]):
        refused = cli(*command)
        refused.assert_refused(3, f"remove {folder} and train the classifier again")
        assert "delete the run folder" not in refused.err


def test_help_and_lists_name_it(cli: Cli) -> None:
    assert "--guidance 0" in " ".join(cli("sample", "--help").out.replace("│", " ").split())
    entries: list[dict[str, Any]] = json.loads(cli("list", "guidance-methods", "--json").out)["entries"]
    found = {entry["name"]: entry for entry in entries}["classifier"]
    assert found["settings"] == "weight=1.0"
    assert "train-classifier" in found["about"]
