"""Ctrl-C and SIGTERM during training: a checkpoint is saved, the code is 130, and the same command goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.small import small

TRAIN = small()


def start(path: Path) -> subprocess.Popen[str]:
    command = ["train", "digits:factor=50", "--out", str(path), "--steps", "1000000", *TRAIN]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "evenscore", *command], stderr=subprocess.PIPE, text=True, env=environment
    )


def wait_for_steps(run: Path, process: subprocess.Popen[str], more_than: int) -> None:
    """Until the process has drawn steps: the lock is held and the log was rewritten or has grown."""
    for _ in range(6000):
        if process.poll() is not None:
            raise AssertionError(process.communicate()[1])
        log = run / "metrics.jsonl"
        if log.is_file() and log.stat().st_mtime_ns > more_than:
            return
        time.sleep(0.05)
    raise AssertionError("training did not start")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_signal_stops_training_with_a_checkpoint_and_the_same_command_goes_on(tmp_path: Path) -> None:
    steps = [0]
    for number in (signal.SIGINT, signal.SIGTERM):
        before = time.time_ns()
        process = start(tmp_path / "run")
        wait_for_steps(tmp_path / "run", process, before)
        process.send_signal(number)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 130, err
        assert "the same command goes on from here" in err
        assert "Traceback" not in err
        names = sorted((tmp_path / "run" / "checkpoints").glob("step-*.safetensors"))
        steps.append(int(names[-1].stem.removeprefix("step-")))
    assert steps == sorted(set(steps)), "each time it went on from where it was"
    assert json.loads(names[-1].with_suffix(".json").read_text())["step"] == steps[-1]
