"""Processes: several workers give the table of one; what is left of a killed command is waited for."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from evenscore.comparison import compare
from evenscore.comparison.workers import wait_for_orphans
from evenscore.data import Dataset
from evenscore.errors import RunError
from evenscore.evaluation import Settings
from evenscore.lock import hold
from tests.comparison.conftest import settings

PIXELS = Settings("pixels", ("kernel",), replicates=0)


def test_workers_give_the_table_of_one_process(digits: Dataset, tmp_path: Path) -> None:
    for name, workers in (("one", 1), ("two", 2)):
        config = settings(seeds=1, equal="updates", workers=workers, evaluation=PIXELS, per_class=20)
        stages = list(compare(digits, ["wild=cbdm:lr=1e30"], tmp_path / name, config))
        assert next(stage.text for stage in stages if stage.name == "failed").startswith("wild, 4 steps, seed 0: the ")
        assert stages[-1].name == "done"
    one, two = (json.loads((tmp_path / name / "comparison.json").read_text()) for name in ("one", "two"))
    assert {**one, "timing": None} == {**two, "timing": None}
    wait_for_orphans(tmp_path / "two", patience=5)
    assert not list((tmp_path / "two").glob("worker-*.lock"))


def test_a_worker_that_is_left_is_waited_for(tmp_path: Path) -> None:
    held, released = threading.Event(), []

    def orphan() -> None:
        with hold(tmp_path, "worker-1.lock"):
            held.set()
            time.sleep(0.5)
            released.append(True)

    thread = threading.Thread(target=orphan)
    thread.start()
    held.wait()
    with pytest.raises(RunError, match="in use by another process"):
        wait_for_orphans(tmp_path, patience=0)
    wait_for_orphans(tmp_path, patience=30)
    assert released
    thread.join()
    assert not list(tmp_path.glob("worker-*"))
