"""``evenscore balance`` of a table that was stopped: the same command goes on with the networks that were trained."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evenscore.evaluation.table_gain import Downstream
from evenscore.training.loop import Trainer

pytest.importorskip("pandas")
pytest.importorskip("imblearn")
Cli = Callable[..., Any]
STEPS, FOLDS = 12, 2
ASKED = ["--label", "kind", "--folds", FOLDS, "--set", "correction=always", "--set", f"steps={STEPS}"]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    rows = [f"{random.normal():.3f},{'abc'[i % 3]},{'rare' if i % 4 == 0 else 'common'}" for i in range(40)]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(["size,place,kind", *rows]) + "\n")
    return path


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Training steps that are taken, by their number in their run."""
    step, found = Trainer.one_step, []

    def counted(trainer: Trainer) -> float:
        rate = step(trainer)
        found.append(trainer.step)
        return rate

    monkeypatch.setattr(Trainer, "one_step", counted)
    return found


def hidden(out: Path) -> Path:
    return out.with_name(f".{out.name}.evenscore")


def uninterrupted(cli: Cli, table: Path) -> bytes:
    whole = table.with_name("whole.csv")
    done = cli("balance", table, *ASKED, "--out", whole)
    assert done.code == 0, done.err
    assert not hidden(whole).exists()
    return whole.read_bytes()


def test_a_signal_in_training_saves_and_the_same_command_goes_on(
    cli: Cli, table: Path, tmp_path: Path, taken: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    content, out = uninterrupted(cli, table), tmp_path / "out.csv"
    assert len(taken) == (1 + FOLDS) * STEPS
    taken.clear()
    counted, at = Trainer.one_step, STEPS + 5
    with monkeypatch.context() as patched:

        def interrupted(trainer: Trainer) -> float:
            rate = counted(trainer)
            if len(taken) == at:
                os.kill(os.getpid(), signal.SIGTERM)
            return rate

        patched.setattr(Trainer, "one_step", interrupted)
        stopped = cli("balance", table, *ASKED, "--out", out)
    assert stopped.code == 130
    assert f"stopped; saved in {hidden(out)}; the same command goes on from here" in stopped.err
    assert not out.exists()
    assert len(taken) == at, "it stops after the step"
    done = cli("balance", table, *ASKED, "--out", out)
    assert done.code == 0, done.err
    assert taken[at] == 6, "it goes on after the step at which it was saved"
    assert len(taken) == (1 + FOLDS) * STEPS, "no step is taken twice"
    assert out.read_bytes() == content
    assert not hidden(out).exists()


def test_what_was_trained_is_used_after_a_cut_in_measuring(
    cli: Cli, table: Path, tmp_path: Path, taken: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    content, out = uninterrupted(cli, table), tmp_path / "out.csv"
    taken.clear()
    with monkeypatch.context() as patched:

        def cut(*_: object) -> None:
            raise KeyboardInterrupt

        patched.setattr(Downstream, "_judge", cut)
        assert cli("balance", table, *ASKED, "--out", out).code == 130
    assert len(taken) == 2 * STEPS
    done = cli("balance", table, *ASKED, "--out", out)
    assert done.code == 0, done.err
    assert len(taken) == (1 + FOLDS) * STEPS, "one fit was left"
    assert out.read_bytes() == content


def test_another_command_has_networks_of_its_own_and_clears_all(
    cli: Cli, table: Path, tmp_path: Path, taken: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.csv"
    with monkeypatch.context() as patched:
        patched.setattr(Downstream, "folds", lambda self: iter([1 / 0]))
        with pytest.raises(ZeroDivisionError):
            cli("balance", table, *ASKED, "--out", out)
    assert [path.name for path in hidden(out).glob("*/*")] == ["run-0"]
    table.write_text(table.read_text().replace("common", "usual"))
    taken.clear()
    done = cli("balance", table, *ASKED, "--out", out)
    assert done.code == 0, done.err
    assert len(taken) == (1 + FOLDS) * STEPS
    assert not hidden(out).exists()


def test_a_run_that_is_asked_for_is_kept(cli: Cli, table: Path, tmp_path: Path) -> None:
    out, run = tmp_path / "out.csv", tmp_path / "run"
    done = cli("balance", table, *ASKED, "--out", out, "--set", f"run={run}")
    assert done.code == 0, done.err
    assert (run / "config.yaml").is_file()
    assert not hidden(out).exists()


def test_a_link_in_its_place_is_refused(cli: Cli, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "here" / "out.csv"
    out.parent.mkdir()
    (tmp_path / "elsewhere").mkdir()
    hidden(out).symlink_to(tmp_path / "elsewhere")
    cli("balance", table, *ASKED, "--out", out).assert_refused(3, "is a link that leads outside")
    assert not list((tmp_path / "elsewhere").iterdir())
    assert not out.exists()
