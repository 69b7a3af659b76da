"""``evenscore distill``, and its run as an ordinary one: sampled, balanced with, judged; asked for a score, it says no."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from evenscore.run import Run
from tests.judges import brief_judges

QUICK = ["--set", "batch_size=8", "--set", "score_steps=1", "--set", "checkpoint_every=2"]
DATA = "digits:factor=50"
Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def quick_run(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A one-step generator of the shared run, made by the command; tests must not change it."""
    path = tmp_path_factory.mktemp("distilled") / "quick"
    words = ["distill", str(trained), "--out", str(path), "--steps", "2", "--method", "fisher", "--json", *QUICK]
    done = subprocess.run([sys.executable, "-m", "evenscore", *words], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert (found["steps"], found["event"], found["method"]) == (2, "done", "fisher")
    assert 0.1 < found["spread"] < 10
    assert "step 2  gap" in done.stderr
    assert "next: evenscore sample" in done.stderr
    return path


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*.png")}


def test_the_folder_says_what_it_was_made_from(quick_run: Path, trained: Path) -> None:
    run = Run.open(quick_run)
    assert run.distilled is not None
    assert run.distilled.teacher == str(trained)
    assert run.distilled.settings["method"] == "fisher"
    assert run.config == Run.open(trained).config
    assert run.card == Run.open(trained).card
    previews = sorted((quick_run / "previews").iterdir())
    assert Image.open(previews[-1]).size == (8 * 9 - 1, 10 * 9 - 1)


def test_it_is_sampled_like_any_run(cli: Cli, quick_run: Path, tmp_path: Path) -> None:
    done = cli("sample", quick_run, "--out", tmp_path / "s", "--per-class", 3, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["nfe"] == 1
    again = cli(
        "sample", quick_run, "--out", tmp_path / "t", "--per-class", 3, "--solver", "one-step", "--format", "npz"
    )
    assert again.code == 0, again.err
    assert len(files(tmp_path / "s")) == 30
    with np.load(tmp_path / "t" / "samples.npz") as kept:
        assert kept["train_images"].shape[0] == 30
        first = np.asarray(Image.open(tmp_path / "s" / "0" / "synthetic-0000000.png"))
        assert np.array_equal(kept["train_images"][0].squeeze(), first)


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["--nfe", "1"], "--nfe"),
        (["--solver", "heun"], "--solver"),
        (["--guidance", "2"], "--guidance"),
        (["--guidance-interval", "-1,2"], "--guidance-interval"),
        (["--guidance-method", "minority"], "--guidance-method"),
        (["--set", "eta=1"], "--set"),
    ],
)
def test_options_that_say_nothing_are_refused(
    cli: Cli, quick_run: Path, tmp_path: Path, words: list[str], option: str
) -> None:
    said = f"{option} says nothing to {quick_run}, a one-step generator: its network is asked once for each sample"
    cli("sample", quick_run, "--out", tmp_path / "s", *words).assert_refused(2, said)
    if option not in ("--guidance-method", "--set"):
        cli("evaluate", quick_run, "--reference", DATA, *words).assert_refused(2, said)
        cli("report", quick_run, *words).assert_refused(2, said)
        balance = ["balance", DATA, "--out", tmp_path / "b", "--run", quick_run]
        cli(*balance, *words).assert_refused(2, said)
    assert not list(tmp_path.iterdir())


def test_the_name_of_its_only_sampler_is_for_it_alone(cli: Cli, trained: Path, tmp_path: Path) -> None:
    words = "--solver one-step is for runs that `evenscore distill` made"
    cli("evaluate", trained, "--reference", DATA, "--solver", "one-step").assert_refused(2, words)
    unknown = "unknown solver 'one-step'"
    cli("sample", trained, "--out", tmp_path / "s", "--solver", "one-step").assert_refused(2, unknown)


def test_commands_that_need_a_score_refuse_it(cli: Cli, quick_run: Path, trained: Path, tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(image)
    out = tmp_path / "out"
    for words in (
        ["likelihood", quick_run, DATA],
        ["restore", quick_run, "--task", "inpaint", "--input", image, "--mask", image, "--out", out],
        ["finish", quick_run, "--out", out],
        ["train-classifier", quick_run],
        ["distill", quick_run, "--out", out, "--steps", 2],
        ["train", DATA, "--out", quick_run, "--steps", 9, "--network", "tiny"],
        ["evaluate", quick_run, "--reference", DATA, "--metrics", "frechet,likelihood"],
    ):
        said = f"knows no score and is trained by `evenscore distill` only: give the run that it was distilled from ({trained})"
        cli(*words).assert_refused(3, said)
    assert not out.exists()


def test_it_is_judged_like_any_run(cli: Cli, quick_run: Path, tmp_path: Path) -> None:
    words = ["--per-class", 4, "--metrics", "frechet", "--features", "pixels"]
    done = cli("evaluate", quick_run, "--reference", DATA, *words, "--json")
    assert done.code == 0, done.err
    made = json.loads(done.out)["protocol"]
    assert made["sampler"] == "one-step, one evaluation"
    assert made["settings"]["nfe"] == 1
    page = tmp_path / "page.html"
    assert cli("report", quick_run, "--out", page, *words).code == 0
    text = page.read_text(encoding="utf-8")
    assert "one-step generator of" in text
    assert "distillation method" in text


def test_a_data_set_is_balanced_with_it(
    cli: Cli, quick_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brief_judges(monkeypatch)
    target = tmp_path / "counts.yaml"
    counts = dict(zip(Run.open(quick_run).card.class_names, Run.open(quick_run).card.counts, strict=True))
    smallest = min(counts, key=lambda name: counts[name])
    target.write_text(yaml.safe_dump({**counts, smallest: counts[smallest] + 1}))
    done = cli("balance", DATA, "--out", tmp_path / "b", "--run", quick_run, "--target", target, "--json")
    assert done.code == 0, done.err
    (row,) = [row for row in json.loads(done.out)["classes"] if row["class"] == smallest]
    assert row["candidates"] > 0
    assert (tmp_path / "b" / "index.html").is_file()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--method", "fischer"], 2, "unknown method 'fischer': did you mean 'fisher'?"),
        (["--set", "score_stesp=2"], 2, "unknown key 'score_stesp': did you mean 'score_steps'?"),
        (["--steps", "2", "--minutes", "1"], 2, "both steps and minutes given"),
        (["--checkpoint", "bets"], 2, "unknown checkpoint 'bets': did you mean 'best'?"),
        (["--set", "start=60"], 2, "log_snr=60.0 cannot be used: log_snr must be from -50 to 50"),
    ],
)
def test_what_is_misspelt_is_refused(
    cli: Cli, trained: Path, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    cli("distill", trained, "--out", tmp_path / "out", *words).assert_refused(code, said)
    assert not (tmp_path / "out").exists()


def test_its_settings_are_listed(cli: Cli) -> None:
    found = json.loads(cli("list", "distill-settings", "--json").out)["entries"]
    assert {"method", "score_steps", "guidance"} <= {entry["name"] for entry in found}


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_signal_saves_and_the_same_command_goes_on(trained: Path, tmp_path: Path) -> None:
    out, steps = tmp_path / "out", [0]
    command = ["distill", str(trained), "--out", str(out), "--steps", "1000000", *QUICK]
    for number in (signal.SIGINT, signal.SIGTERM):
        before = time.time_ns()
        process = subprocess.Popen(
            [sys.executable, "-m", "evenscore", *command],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        while process.poll() is None:
            log = out / "metrics.jsonl"
            if log.is_file() and log.stat().st_mtime_ns > before:
                break
            time.sleep(0.05)
        process.send_signal(number)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 130, err
        assert "the same command goes on from here" in err
        assert "Traceback" not in err
        names = sorted((out / "checkpoints").glob("step-*.safetensors"))
        steps.append(int(names[-1].stem.removeprefix("step-")))
    assert steps == sorted(set(steps)), "each time it went on from where it was"
