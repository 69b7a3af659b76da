"""``evenscore evaluate``: one object with every figure and its protocol, a table with words, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from evenscore.data import Dataset
from evenscore.features.judge import JudgeNetwork
from evenscore.writing import ImageFolder

QUICK = ["--features", "pixels", "--metrics", "frechet,copies", "--per-class", "20", "--nfe", "2"]
Cli = Callable[..., Any]


@pytest.fixture
def cli(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """``cli(run, "--reference", data, ...)`` gives ``evenscore evaluate`` in this process, with a cache of its own."""
    monkeypatch.setenv("EVENSCORE_CACHE", str(tmp_path / "cache"))
    return partial(cli, "evaluate")


def folder(data: Dataset, root: Path, each: int = 3, channels: int = 1) -> Path:
    """Some images of a data set as a folder by class."""
    made = ImageFolder.at(root, data.class_names)
    for k in range(data.num_classes):
        for i in data.of_class(k)[:each]:
            made.save(k, f"{i}.png", np.repeat(data.values[i], channels, axis=2))
    return root


def test_a_run_is_judged_by_class_with_the_protocol(cli: Cli, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "evaluation.json"
    done = cli(trained, "--reference", "digits", *QUICK, "--json", "--out", out)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found == json.loads(out.read_text(encoding="utf-8"))
    assert [c["class"] for c in found["classes"]] == [str(k) for k in range(10)]
    first = found["classes"][0]["figures"]
    assert first["frechet"]["value"] is None
    assert "too few for a Frechet distance of 64 features" in first["frechet"]["note"]
    assert first["kernel"]["low"] < first["kernel"]["value"] < first["kernel"]["high"]
    assert found["metrics"]["frechet"]["shown"] == "FD-pixels"
    protocol = found["protocol"]
    assert protocol["counts"] == [20] * 10
    assert protocol["settings"]["reference_kind"] == "test"
    assert protocol["settings"]["nfe"] == 2
    assert protocol["settings"]["trained_on"] == "digits:factor=50"
    assert protocol["settings"]["copies_among"] == "digits:factor=50"
    assert found["classes"][9]["group"] == "tail"
    cli(trained, "--reference", "digits", *QUICK, "--out", out).assert_refused(3, "nothing is overwritten")


def test_a_folder_is_judged_and_said_in_words(cli: Cli, digits: Dataset, tmp_path: Path) -> None:
    made = folder(digits, tmp_path / "made", 2)
    done = cli(made, "--reference", "digits:factor=50", *QUICK[:2], "--metrics", "copies", "--reference-part", "train")
    assert done.code == 0, done.err
    assert "reference digits:factor=50 (lt_train), 353 samples" in done.out
    assert "Copies of training samples: 100.0% of the samples" in done.out
    assert "tail fewer than 20" in done.out
    assert "copy: sample" in done.out


def test_what_does_not_fit_is_one_sentence(cli: Cli, digits: Dataset, tmp_path: Path) -> None:
    made = folder(digits, tmp_path / "made")
    ask = partial(cli, made, "--reference", "digits:factor=50")
    ask("--features", "pixel").assert_refused(2, "did you mean 'pixels'")
    ask("--metrics", "fid").assert_refused(2, "unknown metric")
    ask("--reference-part", "tset").assert_refused(2, "did you mean 'test'")
    ask("--per-class", "0").assert_refused(2, "give at least 1")
    weights = tmp_path / "inception.pth"
    torch.save({"fc.weight": torch.zeros(1)}, weights)
    ask("--features", f"inception:{weights}").assert_refused(3, "not 6726825d")
    judge = tmp_path / "judge.safetensors"
    save_file(JudgeNetwork(3, 10, 8).state_dict(), judge)
    ask("--features", judge).assert_refused(3, "sees images with 3 channels")
    save_file({"weight": torch.zeros(2)}, judge)
    ask("--features", judge).assert_refused(3, "holds another network")
    cli(tmp_path / "none", "--reference", "digits").assert_refused(3, "neither a run, nor a folder")


def test_a_reference_that_does_not_fit_is_one_sentence(cli: Cli, digits: Dataset, tmp_path: Path) -> None:
    made = folder(digits, tmp_path / "made")
    few = digits.select(np.flatnonzero(digits.labels < 4))
    other = folder(Dataset(few.values, few.labels, tuple("0123"), "few"), tmp_path / "other")
    cli(made, "--reference", other, *QUICK[:4]).assert_refused(3, "the class '4' that the reference lacks")
    colour = folder(digits, tmp_path / "colour", channels=3)
    cli(made, "--reference", colour, *QUICK[:4]).assert_refused(3, "grey images and the reference")
    (tmp_path / "made" / "empty").mkdir()
    cli(made, "--reference", "digits").assert_refused(3, "has 0 images")


def archive(path: Path, data: Dataset, test: Dataset | None = None) -> Path:
    held = {} if test is None else {"test_images": test.values, "test_labels": test.labels}
    np.savez(path, train_images=data.values, train_labels=data.labels, class_names=np.array(data.class_names), **held)
    return path


def wrong(data: Dataset, root: Path) -> Iterator[tuple[list[Any], int, str]]:
    """Arguments of the command, its exit code, and words of its sentence."""
    root.mkdir()
    assert data.test is not None
    names = tuple(f"digit {k}" for k in range(10))
    renamed = archive(root / "renamed.npz", Dataset(data.values, data.labels, names, "renamed"))
    yield ["MADE", "--reference", renamed], 3, "the class '0' that the reference lacks"
    fewer = data.select(np.flatnonzero(data.labels < 4))
    few = archive(root / "few.npz", Dataset(fewer.values, fewer.labels, tuple("0123"), "few"))
    yield ["MADE", "--reference", few], 3, "has 4 classes to its 10: give a reference with the same classes"
    yield [few, "--reference", "digits"], 3, "has no class '4'"
    yield ["MADE", "--reference", "digits", "--trained-on", few], 3, "has no class '4'"
    colour = archive(root / "colour.npz", replace(data, values=np.repeat(data.values, 3, axis=3), test=None))
    yield ["MADE", "--reference", colour], 3, "holds grey images and the reference"
    yield [colour, "--reference", "digits"], 3, "holds colour images and the reference digits grey ones"
    yield ["MADE", "--reference", "digits:size=16"], 3, "write the reference as DATA:size=8x8"
    flat = Dataset(data.values.reshape(len(data), -1).astype(np.float32), data.labels, data.class_names, "flat")
    yield ["MADE", "--reference", archive(root / "flat.npz", flat)], 3, "give data of the same kind"
    some = archive(root / "some.npz", replace(data.select(np.flatnonzero(data.labels != 3)), test=None))
    yield [some, "--reference", "digits"], 3, "has no samples of class '3': give generated samples of every class"
    yield ["MADE", "--reference", some], 3, "class '3' has 0 samples"
    lacking = archive(root / "lacking.npz", data, data.test.select(np.flatnonzero(data.test.labels != 3)))
    yield ["MADE", "--reference", lacking], 3, "no samples of class '3' in its test part"
    yield ["MADE", "--reference", colour, "--reference-part", "test"], 3, "holds grey images"
    alone = archive(root / "alone.npz", replace(data, test=None))
    yield ["MADE", "--reference", alone, "--reference-part", "test"], 3, "has no held-out part"
    text = root / "text.npz"
    text.write_text("no archive")
    yield [text, "--reference", "digits"], 3, "is not an .npz archive, or is truncated"
    yield ["MADE", "--reference", text], 3, "text.npz"


def wrong_features(root: Path) -> Iterator[tuple[list[Any], int, str]]:
    """The same with a feature map that does not fit or is not there."""
    root.mkdir()
    judges = {"channels": (3, 10, 8), "classes": (1, 4, 8), "other": (1, 10, 8)}
    paths = {name: root / f"{name}.safetensors" for name in judges}
    for name, sizes in judges.items():
        save_file(JudgeNetwork(*sizes).state_dict(), paths[name])
    state = JudgeNetwork(1, 10, 8).state_dict()
    first = next(iter(state))
    save_file({**state, first: torch.zeros(2, 2)}, paths["other"])
    yield [paths["channels"]], 3, "sees images with 3 channels"
    yield [paths["classes"]], 3, "knows 4 classes, but the data have 10"
    yield [paths["other"]], 3, "holds another network"
    yield [root / "none.safetensors"], 3, "none.safetensors"
    (root / "text.safetensors").write_text("no weights")
    yield [root / "text.safetensors"], 3, "text.safetensors"
    weights = root / "pt_inception-2015-12-05-6726825d.pth"
    weights.write_bytes(b"0" * 5000)
    yield [f"inception:{weights}"], 3, "not 6726825d"
    yield [f"inception:{root / 'none.pth'}"], 3, "none.pth"
    yield ["nosuchmodule:Net"], 2, "nosuchmodule"
    yield ["inceptoin"], 2, "unknown features"


def test_every_wrong_input_is_one_sentence(cli: Cli, digits: Dataset, tmp_path: Path) -> None:
    made = folder(digits, tmp_path / "made")
    for arguments, code, words in wrong(digits, tmp_path / "wrong"):
        cli(*(made if a == "MADE" else a for a in arguments), *QUICK[:4]).assert_refused(code, words)
    for (features,), code, words in wrong_features(tmp_path / "features"):
        cli(made, "--reference", "digits", "--features", features).assert_refused(code, words)
