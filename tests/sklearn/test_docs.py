"""The page says what SMOTE's users have to change: both five-line examples are run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

PAGE = Path(__file__).parents[2] / "docs" / "tables.md"


def test_the_two_examples_differ_in_one_name_and_balance_alike() -> None:
    text = PAGE.read_text(encoding="utf-8")
    theirs, ours = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[:2]
    assert [len([line for line in code.splitlines() if line]) for code in (theirs, ours)] == [5, 5]
    rewritten = theirs.replace("imblearn.over_sampling", "evenscore.sklearn").replace("SMOTE", "ScoreOverSampler")
    assert rewritten == ours
    found: list[dict[str, Any]] = [{}, {}]
    for code, names in zip((theirs, ours), found, strict=True):
        exec(compile(code, str(PAGE), "exec"), names)
    for names in found:
        assert np.bincount(names["y2"]).tolist() == [357, 357]
        np.testing.assert_array_equal(names["X2"][: len(names["X"])], names["X"])
    assert not np.array_equal(found[0]["X2"], found[1]["X2"])
