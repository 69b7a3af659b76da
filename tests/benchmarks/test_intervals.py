"""The bias behind the small-sample guard: as predicted for the Frechet distance, none for the kernel distance, and drawn."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from benchmarks.intervals import biases, draw, kernel_of_laws
from evenscore.metrics.base import METRICS
from evenscore.metrics.kernel import kernel_distance


def test_a_perfect_generator_is_charged_by_the_frechet_distance_only() -> None:
    (row,) = biases((4,), draws=48).values()
    assert row["least n"] == METRICS["frechet"].least_samples(4)
    assert row["least n"] in row["n"]
    for n, share, predicted in zip(row["n"], row["share"], row["predicted"], strict=True):
        assert predicted == pytest.approx(9 / (4 * n))
        assert share == pytest.approx(predicted, rel=0.5)
    for kernel, error in zip(row["kernel"], row["kernel error"], strict=True):
        assert abs(kernel) < 4 * error
        assert kernel + 4 * error < 1, "a class whose samples are all the same would be told apart"


def test_the_kernel_distance_of_a_collapsed_class_is_that_of_its_law() -> None:
    zero, one = torch.zeros(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64)
    source = torch.Generator().manual_seed(0)
    real = torch.randn(4000, 4, generator=source, dtype=torch.float64)
    measured = kernel_distance(torch.zeros(4000, 4, dtype=torch.float64), real)
    assert measured == pytest.approx(kernel_of_laws(zero, zero, one), rel=0.1)
    assert kernel_of_laws(zero, zero, one) == pytest.approx(3 / 4)


def test_the_figure_marks_the_guard(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    bias = biases((4, 8), draws=2)
    draw(bias, tmp_path)
    text = (tmp_path / "frechet-bias.svg").read_text(encoding="utf-8")
    assert "dotted: least n of the guard" in text
    assert "collapsed class" in text
    assert all(name in text for name in bias)
    assert all(math.isfinite(row["share at the least n"]) for row in bias.values())
