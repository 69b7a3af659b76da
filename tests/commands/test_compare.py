"""``evenscore compare``: a plan, a table with words, exit code 1 where a run failed, and one sentence for what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evenscore.comparison import cost as cost_module

Cli = Callable[..., Any]
TRAIN = ["network=tiny", "batch_size=4", "precision=float32", "memory_format=channels_last", "warmup=0"]
COMMON = [word for setting in TRAIN for word in ("--set", setting)]
QUICK = ["--features", "pixels", "--metrics", "kernel", "--per-class", "20", "--nfe", "2", *COMMON]
DIGITS = ["--data", "digits:factor=50"]


@pytest.fixture
def cli(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """``cli("cbdm", ...)`` gives ``evenscore compare`` in this process, with costs from a step or two."""
    monkeypatch.setattr(cost_module, "PARTS", (0.1,))
    monkeypatch.setattr(cost_module, "ROUNDS", 1)
    monkeypatch.setattr(cost_module, "STEPS", 1)
    return partial(cli, "compare")


def test_a_plan_is_printed_and_nothing_is_written(cli: Cli, tmp_path: Path) -> None:
    ask = ["cbdm", *DIGITS, "--budget", "9", "--seeds", "2", "--grid", "lr=1e-3,2e-3", *QUICK, "--dry-run"]
    done = cli(*ask, "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    plan = json.loads(done.out)
    assert plan["costs"]["plain"] == 1.0
    words = [run["words"] for run in plan["runs"]]
    assert "plain, 9 steps, choosing" in words
    assert "cbdm, 9 steps, seed 1" in words
    assert sum("plain" in text for text in words) == 2 + 2
    assert plan["seconds"] == pytest.approx(sum(run["seconds"] for run in plan["runs"]))
    assert not (tmp_path / "out").exists()


def test_a_table_and_words_and_exit_code_1_where_a_run_failed(cli: Cli, tmp_path: Path) -> None:
    ask = partial(
        cli, *DIGITS, "--budget", "2", "--equal", "updates", "--seeds", "1", *QUICK, "--out", tmp_path / "out"
    )
    done = ask("cbdm", "wild=cbdm:lr=1e30")
    assert done.code == 1
    assert "equal updates: kernel-pixels (lower is better)" in done.out
    assert "At equal updates no method beat the baseline plain." in done.out
    assert "cbdm cannot be told from plain by kernel-pixels: no difference has an interval" in done.out
    assert "wild cannot be compared with plain: seed 0: the " in done.out
    assert "With fewer than 3 seeds hardly any difference can be told" in done.out
    assert "failed: wild: seed 0: the " in done.err
    assert "the same command tries what failed again" in done.err
    assert "Traceback" not in done.err
    good = ask("cbdm", "--json")
    assert good.code == 0, good.err
    assert json.loads(good.out) == json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8"))
    cli("cbdm", *DIGITS, "--budget", "3", *QUICK, "--out", tmp_path / "out").assert_refused(3, "with budget=2 steps")


def test_what_cannot_be_compared_is_one_sentence(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ask = partial(cli, *DIGITS, "--out", out)
    ask("cbmd", "--budget", "5").assert_refused(2, "unknown recipe 'cbmd': did you mean 'cbdm'?")
    ask("cbdm", "cbdm", "--budget", "5").assert_refused(2, "two recipes have the title 'cbdm'")
    ask("plain", "--budget", "5").assert_refused(2, "only the baseline 'plain' was given")
    ask("cbdm", "--budget", "0").assert_refused(2, "--budget 0 cannot be used: give steps such as 500")
    ask("cbdm", "--budget", "soon").assert_refused(2, "--budget soon cannot be used")
    ask("cbdm", "--budget", "5", "--seeds", "0").assert_refused(2, "seeds=0 cannot be used")
    ask("cbdm", "--budget", "5", "--equal", "time").assert_refused(2, "unknown rule of equality 'time'")
    ask("cbdm", "--budget", "5", "--baseline", "plan").assert_refused(2, "did you mean 'plain'")
    ask("cbdm", "--budget", "5", "--set", "steps=9").assert_refused(2, "steps must be left to the comparison")
    ask("cbdm:batch_size=8", "--budget", "5").assert_refused(2, "give it for all, such as --set batch_size=8")
    ask("cbdm", "--budget", "5", "--grid", "lr").assert_refused(2, "write for example --grid lr=1e-3,2e-3")
    ask("cbdm", "--budget", "5", "--guidance-grid", "a").assert_refused(2, "guidance-grid takes a number")
    ask("cbdm", "--budget", "5", "--metrics", "fid").assert_refused(2, "unknown metric")
    ask("cbdm", "--budget", "5", "--workers", "0").assert_refused(2, "workers must be at least 1")
    ask("none.yaml", "--budget", "5").assert_refused(3, "none.yaml cannot be read")
    assert not out.exists()


def test_data_without_a_held_out_part_and_a_foreign_folder_are_one_sentence(cli: Cli, tmp_path: Path) -> None:
    archive = tmp_path / "data.npz"
    images = np.zeros((4, 8, 8, 1), dtype=np.uint8) + np.arange(4, dtype=np.uint8)[:, None, None, None]
    np.savez(archive, train_images=images, train_labels=np.array([0, 0, 1, 1]))
    ask = partial(cli, "cbdm", "--budget", "5", *QUICK)
    ask("--data", archive, "--out", tmp_path / "out").assert_refused(3, "has no held-out data")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    ask(*DIGITS, "--out", tmp_path / "mine").assert_refused(3, "exists and holds no comparison")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
