"""``evenscore report``: a page beside what it is about, from the data that it came from, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from evenscore.data import Dataset
from evenscore.run import Run
from evenscore.writing import ImageFolder

QUICK = ["--features", "pixels", "--metrics", "kernel,copies", "--per-class", "20", "--nfe", "2"]
Cli = Callable[..., Any]


@pytest.fixture
def cli(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """``cli(run, ...)`` gives ``evenscore report`` in this process, with a cache of its own."""
    monkeypatch.setenv("EVENSCORE_CACHE", str(tmp_path / "cache"))
    return partial(cli, "report")


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A run of its own."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_a_run_gets_a_page_from_its_own_data(cli: Cli, run: Path) -> None:
    Run.open(run).log({"step": 3, "game": {"disagreement": 0.1, "gradient_proxy": 1.0, "last_layer_gap": 0.5}})
    Run.open(run).log({"step": 4, "game": {"disagreement": 0.2, "gradient_proxy": 0.5, "last_layer_gap": 0.4}})
    done = cli(run, *QUICK)
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1] == f"page: {run / 'report.html'}"
    assert "The worst class by kernel-pixels" in done.out
    text = (run / "report.html").read_text(encoding="utf-8")
    assert "Quality of run" in text
    assert text.count("<img") >= 10 * 3
    for words in ("loss by group", "disagreement", "last-layer gap", "training steps", "digits:factor=50 (test)"):
        assert words in text
    again = cli(run, *QUICK, "--json")
    assert again.code == 0, again.err
    found = json.loads(again.out)
    assert found["page"] == str(run / "report.html")
    assert found["protocol"]["counts"] == [20] * 10


def test_a_folder_of_samples_needs_a_reference(cli: Cli, digits: Dataset, tmp_path: Path) -> None:
    folder = ImageFolder.at(tmp_path / "made", digits.class_names)
    for k in range(10):
        for i in digits.of_class(k)[:2]:
            folder.save(k, f"{i}.png", digits.values[i])
    cli(folder.root, *QUICK).assert_refused(2, "name them with --reference DATA")
    out = tmp_path / "pages" / "made.html"
    done = cli(folder.root, *QUICK[:2], "--metrics", "copies", "--reference", "digits:factor=50", "--out", out)
    assert done.code == 0, done.err
    assert not (folder.root / "report.html").exists()
    text = out.read_text(encoding="utf-8")
    assert "counts as a copy" in text
    assert "Copies of training samples: 100.0%" in text
    archive = tmp_path / "samples.npz"
    np.savez(archive, train_images=digits.values, train_labels=digits.labels)
    done = cli(archive, *QUICK[:2], "--metrics", "copies", "--reference", "digits:factor=50")
    assert done.code == 0, done.err
    assert (tmp_path / "samples-report.html").is_file()


@pytest.mark.parametrize("place", ["inside", "named"])
def test_of_a_balanced_folder_the_synthetic_images_are_judged(
    cli: Cli, trained: Path, digits: Dataset, tmp_path: Path, place: str
) -> None:
    out = tmp_path / "balanced"
    folder = ImageFolder.at(out, digits.class_names)
    lines = []
    for k in range(10):
        for i in digits.of_class(k)[:2]:
            name = folder.save(k, f"{i}.png", digits.values[i])
            lines.append({"file_name": name, "label": str(k), "synthetic": i == digits.of_class(k)[0]})
    folder.record([{**line, "synthetic": bool(line["synthetic"])} for line in lines])
    (out / "index.html").write_text("its own page")
    signature = {"run": str(trained) if place == "named" else None}
    (out / ".evenscore").mkdir()
    (out / ".evenscore" / "state.json").write_text(json.dumps({"signature": signature}))
    if place == "inside":
        shutil.copytree(trained, out / ".evenscore" / "run")
    done = cli(out, "--features", "pixels", "--metrics", "copies")
    assert done.code == 0, done.err
    text = (out / "report.html").read_text(encoding="utf-8")
    assert "only the 10 images marked as synthetic" in text
    assert "digits:factor=50 (test)" in text
    assert "loss by group" in text
    assert (out / "index.html").read_text() == "its own page"
    shutil.rmtree(out / ".evenscore")
    cli(out).assert_refused(2, "name them with --reference DATA")


def test_what_is_no_page_is_not_overwritten(cli: Cli, run: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.html"
    mine.write_text("<p>my own page</p>")
    cli(run, *QUICK, "--out", mine).assert_refused(3, "is not a page that evenscore made")
    cli(run, *QUICK, "--out", tmp_path).assert_refused(3, "is not a page that evenscore made")
    assert mine.read_text() == "<p>my own page</p>"


def test_data_that_are_gone_or_changed_are_named_anew(cli: Cli, run: Path, tmp_path: Path) -> None:
    path = run / "config.yaml"
    record = yaml.safe_load(path.read_text())
    for key, value, words in (
        ("spec", str(tmp_path / "gone"), "cannot be read any more"),
        ("spec", "digits:factor=20", "has changed since"),
    ):
        record["data"][key] = value
        path.write_text(yaml.safe_dump(record))
        cli(run, *QUICK).assert_refused(3, words)
        cli(run, *QUICK).assert_refused(3, "name the real data with --reference")
    assert not (run / "report.html").exists()


def test_what_does_not_fit_is_one_sentence(cli: Cli, run: Path, tmp_path: Path) -> None:
    cli(run, "--per-class", "0").assert_refused(2, "give at least 1")
    cli(run, "--features", "pixel").assert_refused(2, "did you mean 'pixels'")
    cli(tmp_path / "nothing", "--reference", "digits").assert_refused(3, "is neither a run, nor a folder of images")
    assert not (run / "report.html").exists()


def test_a_comparison_takes_no_options_and_a_damaged_one_is_named(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text("{}")
    cli(tmp_path, "--reference", "digits").assert_refused(2, "leave --reference out")
    cli(tmp_path).assert_refused(3, "comparison.json cannot be understood")
    assert not (tmp_path / "index.html").exists()
