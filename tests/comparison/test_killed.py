"""kill -9 in the middle of a comparison, alone and with workers: the same command goes on and gives the same table."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

QUICK = ["--features", "pixels", "--metrics", "kernel,copies", "--per-class", "20", "--nfe", "2", "--guidance", "1"]
TRAIN = ["network=tiny", "batch_size=8", "precision=float32", "memory_format=channels_last", "checkpoint_every=3"]


def command(out: Path, workers: int = 1) -> list[str]:
    common = [word for setting in TRAIN for word in ("--set", setting)]
    what = ["compare", "cbdm:policy=as-found", "--data", "digits:factor=50", "--budget", "12", "--seeds", "2"]
    return [*what, *common, *QUICK, "--workers", str(workers), "--out", str(out), "--json"]


def table(out: str) -> dict[str, Any]:
    return {**json.loads(out), "timing": None}


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_killed_comparison_goes_on_to_the_same_table(cli: Callable[..., Any], tmp_path: Path) -> None:
    whole = cli(*command(tmp_path / "whole"))
    assert whole.code == 0, whole.err
    assert len(list((tmp_path / "whole" / "parts").iterdir())) == 6
    for workers in (1, 2):
        out = tmp_path / f"killed-{workers}"
        out.mkdir()
        for name in ("job.json", "measured.json"):
            shutil.copy(tmp_path / "whole" / name, out)
        kill_when(out, workers)
        done = len(list((out / "parts").iterdir()))
        assert 1 <= done < 6
        again = cli(*command(out))
        assert again.code == 0, again.err
        assert table(again.out) == table(whole.out)
        assert table((out / "comparison.json").read_text()) == table(whole.out)
        assert not list((out / "runs").iterdir())


def kill_when(out: Path, workers: int) -> None:
    """Start a comparison; kill it once a run is finished and another one has a checkpoint."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "evenscore", *command(out, workers)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(30_000):
        if list(out.glob("parts/*.json")) and list(out.glob("runs/*/checkpoints/last")):
            break
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
