"""Differences that are paired by seed, with Student's 95 % interval, and how a table shows them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from evenscore.metrics.interval import paired_student


def paired(differences: Sequence[float]) -> list[float]:
    """[low, mean, high] of Student's 95 % interval; the ends are infinite with one seed."""
    if len(differences) < 2:
        return [-math.inf, float(differences[0]), math.inf]
    mean, (low, high) = paired_student(differences, [0.0] * len(differences))
    return [low, mean, high]


def interval(ends: Sequence[float] | None) -> str:
    """Mean and interval, empty for none; a star where the interval leaves out zero."""
    if ends is None:
        return ""
    low, mean, high = ends
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]" + ("*" if low > 0 or high < 0 else "")
