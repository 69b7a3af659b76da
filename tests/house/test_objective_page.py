"""The page on objectives: its example is short and runs as it stands, and its table says what the objectives say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from evenscore.objectives import OBJECTIVES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "objectives.md").read_text(encoding="utf-8")
LONGEST = 60


def test_the_example_is_short_and_runs(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(example.splitlines()) <= LONGEST
    path = tmp_path / "borrow.py"
    path.write_text(example, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "neutral settings are plain denoising" in done.stdout
    assert "'strength': 1.0" in done.stdout


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_table_states_the_cost_that_the_objective_states(name: str) -> None:
    (cost,) = re.findall(rf"^\| `{name}` \| [^|]+ \| ([^|]+) \|", PAGE, re.MULTILINE)
    assert cost.strip() == "{:g}, {:g}".format(*OBJECTIVES[name]().cost())
