"""``evenscore restore``: what is known stays, files and metadata, and one sentence for every wrong request."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evenscore.configuration import TrainConfig
from evenscore.data import Dataset
from evenscore.training import train

Cli = Callable[..., Any]


@pytest.fixture
def cli(cli: Cli) -> Cli:
    """``cli(run, ...)`` gives ``evenscore restore`` in this process."""
    return partial(cli, "restore")


@pytest.fixture(scope="module")
def coloured(tmp_path_factory: pytest.TempPathFactory, quick: Callable[..., TrainConfig]) -> Path:
    """A run of two steps on colour images of 6 x 8 pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (16, 6, 8, 3)).astype(np.uint8)
    path = tmp_path_factory.mktemp("colour") / "run"
    data = Dataset.from_arrays(pixels, np.arange(16) % 2, ["cat", "dog"])
    assert list(train(data, path, quick(steps=2)))[-1].event == "done"
    return path


def picture(path: Path, height: int, width: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels)).astype(np.uint8)
    Image.fromarray(pixels if channels == 3 else pixels[..., 0]).save(path)
    return pixels


def left_half(path: Path, height: int, width: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((height, width), np.uint8)
    mask[:, : width // 2] = 255
    Image.fromarray(mask).save(path)
    return path


@pytest.mark.parametrize("method", ["replacement", "repaint", "smcdiff", "twisted"])
def test_inpainting_keeps_every_known_byte(cli: Cli, tmp_path: Path, trained: Path, method: str) -> None:
    known = picture(tmp_path / "in" / "three.png", 8, 8)[..., 0]
    mask = left_half(tmp_path / "mask.png", 8, 8)
    words = [trained, "--task", "inpaint", "--input", tmp_path / "in" / "three.png", "--mask", mask, "--samples", 2]
    settings = {"smcdiff": ["--set", "particles=3"], "twisted": ["--set", "particles=2"]}.get(method, [])
    words += ["--steps", 4, "--method", method, "--class", "3", *settings]
    code, out, err = cli(*words, "--out", tmp_path / "out", "--json")
    assert code == 0, err
    assert json.loads(out)["samples"] == 2
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "metadata.jsonl",
        "three-0001.png",
        "three-0002.png",
    ]
    made = [np.asarray(Image.open(tmp_path / "out" / f"three-000{i}.png")) for i in (1, 2)]
    for image in made:
        assert np.array_equal(image[:, 4:], known[:, 4:])
    assert not np.array_equal(made[0], made[1])
    lines = [json.loads(line) for line in (tmp_path / "out" / "metadata.jsonl").read_text().splitlines()]
    assert [line["file_name"] for line in lines] == ["three-0001.png", "three-0002.png"]
    assert {(line["label"], line["method"], line["source"]) for line in lines} == {("3", method, "three.png")}
    assert cli(*words, "--out", tmp_path / "again")[0] == 0
    assert (tmp_path / "again" / "three-0002.png").read_bytes() == (tmp_path / "out" / "three-0002.png").read_bytes()


def test_a_folder_with_masks_of_its_own_and_another_size(cli: Cli, tmp_path: Path, trained: Path) -> None:
    for i in range(3):
        picture(tmp_path / "in" / f"{i}.png", 16, 24, 3, seed=i)
        left_half(tmp_path / "masks" / f"{i}.png", 16, 24)
    (tmp_path / "in" / "broken.png").write_text("no image")
    words = ["--input", tmp_path / "in", "--mask", tmp_path / "masks", "--steps", 2, "--method", "replacement"]
    code, _, err = cli(trained, "--task", "inpaint", *words, "--out", tmp_path / "out")
    assert code == 0, err
    assert "note: 3 images of another size centre-cropped" in err
    assert "note: 3 colour images converted to grey" in err
    assert "note: broken.png is left out: not a PNG" in err
    assert len(list((tmp_path / "out").glob("*.png"))) == 3


def test_colourisation_keeps_the_grey(cli: Cli, tmp_path: Path, coloured: Path) -> None:
    grey = np.full((6, 8), 120, np.uint8)
    grey[2:4] = 140
    Image.fromarray(grey).save(tmp_path / "grey.png")
    words = ["--task", "colourise", "--input", tmp_path / "grey.png", "--steps", 20, "--samples", 2]
    code, _, err = cli(coloured, *words, "--out", tmp_path / "out")
    assert code == 0, err
    for i in (1, 2):
        image = np.asarray(Image.open(tmp_path / "out" / f"grey-000{i}.png")).astype(float)
        inside = (image.min(2) > 0) & (image.max(2) < 255)
        assert image.shape == (6, 8, 3)
        assert inside.mean() > 0.3
        assert np.abs(image @ [0.299, 0.587, 0.114] - grey)[inside].max() < 1.0
        assert np.abs(image - image.mean(2, keepdims=True)).max() > 5


WRONG = [
    (["--task", "inpant"], 2, "unknown task 'inpant': did you mean 'inpaint'?"),
    (["--task", "inpaint"], 2, "--task inpaint was given no --mask"),
    (["--task", "colourise", "--mask", "MASK"], 2, "leave it out"),
    (["--task", "colourise"], 2, "makes grey images and knows no colours"),
    (["--task", "inpaint", "--mask", "MASK", "--method", "repant"], 2, "did you mean 'repaint'?"),
    (["--task", "inpaint", "--mask", "MASK", "--set", "particle=3"], 2, "did you mean 'particles'?"),
    (["--task", "inpaint", "--mask", "MASK", "--set", "particles"], 2, "has no key=value form"),
    (["--task", "inpaint", "--mask", "MASK", "--set", "particles=0"], 2, "must be at least 1"),
    (["--task", "inpaint", "--mask", "MASK", "--class", "eleven"], 2, "unknown class 'eleven'"),
    (["--task", "inpaint", "--mask", "MASK", "--samples", "0"], 2, "give at least 1 of each"),
    (["--task", "inpaint", "--mask", "MASK", "--steps", "0"], 2, "give at least 1 of each"),
    (["--task", "inpaint", "--mask", "none.png"], 3, "--mask none.png does not exist"),
    (["--task", "inpaint", "--mask", "BLACK"], 3, "nothing to fill"),
    (["--task", "inpaint", "--mask", "WHITE"], 3, "nothing known"),
    (["--task", "inpaint", "--mask", "SMALL"], 3, "give both the same size"),
    (["--task", "inpaint", "--mask", "EMPTY"], 3, "holds no images"),
    (["--task", "inpaint", "--mask", "OTHER"], 3, "holds no mask for one.png"),
]


@pytest.mark.parametrize(("words", "code", "sentence"), WRONG, ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_wrong_requests_write_nothing(
    cli: Cli, tmp_path: Path, trained: Path, words: list[str], code: int, sentence: str
) -> None:
    picture(tmp_path / "one.png", 8, 8)
    places = {"MASK": left_half(tmp_path / "m.png", 8, 8), "SMALL": left_half(tmp_path / "s.png", 5, 5)}
    for name, value in (("BLACK", 0), ("WHITE", 255)):
        places[name] = tmp_path / f"{name}.png"
        Image.fromarray(np.full((8, 8), value, np.uint8)).save(places[name])
    (tmp_path / "empty").mkdir()
    left_half(tmp_path / "other" / "two.png", 8, 8)
    places |= {"EMPTY": tmp_path / "empty", "OTHER": tmp_path / "other"}
    common = [trained, "--input", tmp_path / "one.png", "--out", tmp_path / "out"]
    cli(*common, *(places.get(word, word) for word in words)).assert_refused(code, sentence)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [("nowhere.png", "does not exist"), ("text.png", "not a PNG"), ("bare", "holds no images")],
)
def test_inputs_that_cannot_be_used(cli: Cli, tmp_path: Path, coloured: Path, given: str, sentence: str) -> None:
    (tmp_path / "text.png").write_text("I am no image")
    (tmp_path / "bare").mkdir()
    words = ["--task", "colourise", "--input", tmp_path / given, "--out", tmp_path / "out"]
    cli(coloured, *words).assert_refused(3, sentence)
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_and_a_run_without_checkpoint_are_refused(cli: Cli, tmp_path: Path, coloured: Path) -> None:
    picture(tmp_path / "in" / "one.png", 6, 8)
    words = ["--task", "colourise", "--input", tmp_path / "in" / "one.png", "--out"]
    cli(coloured, *words, tmp_path / "in").assert_refused(3, "exists and is not empty")
    shutil.copytree(coloured, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    cli(tmp_path / "run", *words, tmp_path / "out").assert_refused(3, "holds no checkpoint")
    assert not (tmp_path / "out").exists()
