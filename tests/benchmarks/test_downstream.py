"""The downstream benchmark: minutes add up, the balanced folder has what the largest ratio wants, all rows in processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from benchmarks import downstream
from benchmarks.downstream import Clock, made
from evenscore.data import Dataset, load
from evenscore.downstream import Settings

ROOT = Path(__file__).resolve().parents[2]


def test_minutes_add_up_over_interruptions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(downstream.time, "monotonic", lambda: now)
    path = tmp_path / "minutes.json"
    with Clock(path).counting("rows"):
        now = 120.0
    cut = Clock(path)
    with suppress(KeyboardInterrupt), cut.counting("rows"):
        now = 150.0
        cut.keep()
        assert json.loads(path.read_text())["rows"] == 2.5
        now = 180.0
        raise KeyboardInterrupt
    with Clock(path).counting("synthetic images"):
        now = 240.0
    assert Clock(path).minutes() == {"rows": 3.0, "synthetic images": 1.0}


def test_the_folder_is_asked_for_what_the_largest_ratio_wants(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(downstream, "balance", lambda data, out, config: asked.append(config.target) or iter(()))
    made(digits, tmp_path, Settings(ratios=(0.25, 0.5)), downstream.QUICK.train)
    counts = digits.distribution.counts
    assert asked == [tuple(n + round(0.5 * (max(counts) - n)) for n in counts)]


def test_every_row_is_measured_in_processes(tmp_path: Path) -> None:
    data = load("digits")
    kept = np.concatenate([data.of_class(k)[-30:] for k in range(10)])
    np.savez(tmp_path / "made.npz", train_images=data.values[kept], train_labels=data.labels[kept])
    words = ["downstream", "--quick", "--json", "--steps", "2", "--seeds", "2", "--workers", "1"]
    files = ["--synthetic", "made.npz", "--out", "out", "--markdown", "page.md"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *words, *files],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["holds"] is True
    assert list(found["values"]["rows"])[-3:] == ["synthetic x0.25", "synthetic x0.5", "synthetic x1"]
    assert set(found["values"]["difference of the mean"]["synthetic x1"]) >= {"real", "over-sampled"}
    assert found["values"]["minutes"]["rows"] > 0
    assert any("cannot be told" in text or "helped" in text for text in found["values"]["verdict"])
    assert "14 of 14 trainings" in done.stderr
    assert "| over-sampled |" in (tmp_path / "page.md").read_text(encoding="utf-8")
