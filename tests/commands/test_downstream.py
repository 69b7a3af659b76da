"""``evenscore downstream``: tables, words, JSON and files; and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evenscore.data import Dataset, load
from evenscore.writing import ImageFolder

Cli = Callable[..., Any]
QUICK = ["--seeds", "2", "--steps", "2", "--set", "batch_size=16", "--methods", "over-sampled", "--ratios", "0.5,1"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other digits of every class as synthetic images."""
    path = tmp_path_factory.mktemp("made") / "made.npz"
    data = load("digits")
    kept = np.concatenate([data.of_class(k)[-40:] for k in range(10)])
    names = np.array(data.class_names)
    np.savez(path, train_images=data.values[kept], train_labels=data.labels[kept], class_names=names)
    return path


def test_tables_words_and_files(cli: Cli, made: Path, tmp_path: Path) -> None:
    ask = partial(cli, "downstream", "digits:factor=50", "--synthetic", made, *QUICK, "--out", tmp_path / "out")
    done = ask()
    assert done.code == 0, done.err
    for words in (
        "over-sampled",
        "synthetic x0.5",
        "against real",
        "synthetic x1",
        "helped",
        "note: synthetic x1 wants 897",
    ):
        assert words in done.out
    assert "downstream 100%" in done.err
    page = (tmp_path / "out" / "downstream.md").read_text(encoding="utf-8")
    assert page.startswith("# Downstream: digits:factor=50 with synthetic samples of")
    again = ask("--json")
    assert again.code == 0, again.err
    found = json.loads(again.out)
    assert found == json.loads((tmp_path / "out" / "downstream.json").read_text(encoding="utf-8"))
    assert [row["row"] for row in found["rows"]] == ["real", "over-sampled", "synthetic x0.5", "synthetic x1"]
    assert found["rows"][2]["synthetic_by_class"]["9"] == 40
    assert found["settings"]["steps"] == 2
    assert found["seeds"] == [0, 1]
    assert set(found["rows"][3]["against"]) == {"real", "over-sampled"}
    ask("--set", "depth=14").assert_refused(3, "depth=8 then, 14 now")


def test_a_run_is_no_folder_of_samples(cli: Cli, trained: Path) -> None:
    cli("downstream", "digits:factor=50", "--synthetic", trained).assert_refused(3, "is a run, not its samples")


def test_what_does_not_fit_is_one_sentence(cli: Cli, made: Path, digits: Dataset, tmp_path: Path) -> None:
    ask = partial(cli, "downstream", "digits:factor=50", "--synthetic", made)
    ask("--methods", "over-samplid").assert_refused(2, "did you mean 'over-sampled'")
    ask("--ratios", "0.5,-1").assert_refused(2, "ratio -1 cannot be used: give ratios above 0")
    ask("--ratios", "half").assert_refused(2, "ratios takes a number")
    ask("--seeds", "0").assert_refused(2, "seeds must be at least 1")
    ask("--set", "dept=14").assert_refused(2, "did you mean 'depth'")
    ask("--set", "depth=9").assert_refused(2, "6n + 2 layers")
    ask = partial(cli, "downstream", "digits:factor=50", "--synthetic")
    ask(tmp_path / "none").assert_refused(3, "neither a run, nor a folder")
    names = np.array(["zero", *digits.class_names[1:]])
    np.savez(tmp_path / "other.npz", train_images=digits.values, train_labels=digits.labels, class_names=names)
    ask(tmp_path / "other.npz").assert_refused(3, "has the class 'zero' that digits:factor=50 lacks")
    colour = np.repeat(digits.values, 3, axis=3)
    np.savez(tmp_path / "colour.npz", train_images=colour, train_labels=digits.labels)
    ask(tmp_path / "colour.npz").assert_refused(3, "of shape (3, 8, 8), and digits:factor=50 of shape (1, 8, 8)")
    folder = ImageFolder.at(tmp_path / "balanced", digits.class_names)
    name = folder.save(0, "real-0.png", digits.values[0])
    folder.record([{"file_name": name, "label": "0", "synthetic": False}])
    ask(folder.root).assert_refused(3, "holds no generated images")
    ask(folder.root, "--out", folder.root / "out").assert_refused(2, "lies inside the synthetic data")
    np.savez(tmp_path / "data.npz", train_images=digits.values, train_labels=digits.labels)
    cli("downstream", tmp_path / "data.npz", "--synthetic", made).assert_refused(3, "has no held-out part to test")


def test_methods_and_settings_are_listed(cli: Cli) -> None:
    assert "balanced-softmax" in cli("list", "downstream-methods").out
    assert "synthetic_weight" in cli("list", "downstream-settings").out


def start(made: Path, out: Path, steps: int) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    words = [
        "downstream",
        "digits:factor=50",
        "--synthetic",
        str(made),
        *QUICK,
        "--steps",
        str(steps),
        "--out",
        str(out),
    ]
    return subprocess.Popen(
        [sys.executable, "-m", "evenscore", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_killed_in_the_middle_the_same_command_gives_the_same_table(cli: Cli, made: Path, tmp_path: Path) -> None:
    process, parts = start(made, tmp_path / "killed", 12), tmp_path / "killed" / "parts"
    while process.poll() is None and len(list(parts.glob("*.json"))) < 2:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert 2 <= len(list(parts.glob("*.json"))) < 8
    words = ["downstream", "digits:factor=50", "--synthetic", made, *QUICK, "--steps", "12", "--json"]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    killed, whole = cli(*words, "--out", tmp_path / "killed"), cli(*words, "--out", tmp_path / "whole")
    torch.set_num_threads(threads)
    assert killed.code == whole.code == 0, killed.err
    assert json.loads(killed.out) == json.loads(whole.out)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_signal_stops_and_says_how_to_go_on(made: Path, tmp_path: Path) -> None:
    process = start(made, tmp_path / "out", 100_000)
    while process.poll() is None and not (tmp_path / "out" / "parts" / "lock").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "give the same command" in err
    assert "Traceback" not in err
