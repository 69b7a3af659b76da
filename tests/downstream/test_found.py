"""Figures and differences by hand, and what is said of them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from evenscore.downstream.found import Difference, Facts, Found, gather, paired, rounding_of
from evenscore.downstream.parts import Part
from evenscore.downstream.words import sentences, verdict
from evenscore.downstream.write import class_table, main_table, markdown, to_dict
from evenscore.metrics.interval import paired_student

RATIOS = {"real": None, "over-sampled": None, "synthetic x0.5": 0.5, "synthetic x1": 1.0}
RIGHT: dict[str, list[tuple[int, ...]]] = {
    "real": [(90, 50, 10), (92, 54, 14)],
    "over-sampled": [(80, 60, 40), (82, 64, 42)],
    "synthetic x0.5": [(90, 60, 60), (92, 62, 64)],
    "synthetic x1": [(70, 60, 50), (72, 62, 52)],
}
"""Rightly classified of 100 test samples of each class, on two seeds."""


def facts(**changed: Any) -> Facts:
    given = {
        "data": "some data",
        "synthetic": "a folder",
        "class_names": ("ant", "bee", "cat"),
        "groups": ("head", "tail", "tail"),
        "counts": (500, 12, 3),
        "available": (0, 600, 600),
        "test_counts": (100, 100, 100),
        "seeds": (0, 1),
        "ratios": RATIOS,
        "classifier": "A network",
        "settings": {"margin": 0.02},
        "notes": ("a note",),
    }
    return Facts(**{**given, **changed})


def found(right: dict[str, list[tuple[int, ...]]] = RIGHT, **changed: Any) -> Found:
    parts = {
        name: [Part(name, seed, r, (0, 9, 9), 0.5, 1.0) for seed, r in enumerate(rows)] for name, rows in right.items()
    }
    return gather(facts(**changed), parts, also=("over-sampled",))


def test_figures_by_hand() -> None:
    row = found().rows["real"]
    assert row.figures["mean"] == pytest.approx((0.5, 160 / 300))
    assert row.figures["head"] == pytest.approx((0.9, 0.92))
    assert row.figures["tail"] == pytest.approx((0.3, 0.34))
    assert row.figures["worst"] == pytest.approx((0.1, 0.14))
    assert "medium" not in row.figures
    assert row.classes[1] == pytest.approx((0.5, 0.54))


def test_the_best_rows_are_chosen_by_mean() -> None:
    of = found()
    assert (of.best_without, of.best_with, of.worst_with) == ("over-sampled", "synthetic x0.5", "synthetic x1")
    assert list(of.against["real"]) == []
    assert list(of.against["over-sampled"]) == ["real"]
    assert list(of.against["synthetic x1"]) == ["real", "over-sampled"]


def test_differences_are_students_paired_by_seed() -> None:
    of = found()
    mean, interval = paired_student(of.rows["synthetic x1"].figures["mean"], of.rows["real"].figures["mean"])
    difference = of.against["synthetic x1"]["real"].figures["mean"]
    assert mean == pytest.approx((0.1 + 26 / 300) / 2)
    assert (difference.mean, difference.low, difference.high) == pytest.approx((mean, *interval))
    assert of.against["synthetic x0.5"]["over-sampled"].classes[2].mean == pytest.approx(0.21)


def test_seeds_that_agree_leave_the_width_of_rounding() -> None:
    """Two roundings to steps of 1/10 have the variance 2 / (12 * 100); Student's point at one degree of freedom is 12.706."""
    assert rounding_of([10]) == pytest.approx(math.sqrt(2 / 12) / 10)
    assert rounding_of([10, 20]) == pytest.approx(math.sqrt(2 / 12 / 100 + 2 / 12 / 400) / 2)
    difference = paired((0.4, 0.5), (0.3, 0.4), rounding_of([10]))
    half = 12.7062047 * rounding_of([10]) / math.sqrt(2)
    assert (difference.mean, difference.low, difference.high) == pytest.approx((0.1, 0.1 - half, 0.1 + half))
    assert paired((1.0, 0.0), (0.0, 1.0), 0.0) == Difference(0.0, -1.0, 1.0)


def test_one_seed_has_no_interval() -> None:
    of = found({name: rows[:1] for name, rows in RIGHT.items()}, seeds=(0,))
    assert of.against["synthetic x0.5"]["real"].figures["mean"] == Difference(pytest.approx(0.2), None, None)
    text = " ".join(sentences(of))
    assert "one seed gives no interval: ask for more with --seeds" in text
    assert "Whether synthetic data x0.5 helped overall, against real, cannot be told with one seed: +0.200." in text


def test_a_class_without_test_samples_is_in_no_mean() -> None:
    right = {name: [(r[0], 0, r[2]) for r in rows] for name, rows in RIGHT.items()}
    of = found(right, test_counts=(100, 0, 100))
    assert of.rows["real"].classes[1] is None
    assert of.rows["real"].figures["mean"][0] == pytest.approx(0.5)
    assert of.rows["real"].figures["worst"][0] == pytest.approx(0.1)
    assert to_dict(of)["rows"][0]["classes_by_seed"]["bee"] is None
    assert class_table(of)[1][1][-2:] == ("-", "-")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.01, 0.09, "helped"),
        (-0.09, -0.01, "loss"),
        (-0.05, 0.015, "no help"),
        (-0.05, 0.05, "unclear"),
        (None, None, "unclear"),
    ],
)
def test_verdicts(low: float | None, high: float | None, expected: str) -> None:
    assert verdict(Difference(0.0, low, high), 0.02) == expected


def test_the_verdict_in_words() -> None:
    """Of 1000 test samples a class, so that rounding says nothing; ant gains, bee does not, cat loses."""
    right = {
        "real": [(500, 500, 500), (500, 500, 500)],
        "over-sampled": [(600, 600, 700), (600, 600, 700)],
        "synthetic x1": [(650, 605, 600), (650, 605, 600)],
    }
    of = found(right, test_counts=(1000, 1000, 1000), ratios={k: RATIOS[k] for k in right})
    text = list(sentences(of))
    assert text[1] == (
        "Without synthetic data the best row is over-sampled with 0.633 (real: 0.500); it was chosen by this figure, on the "
        "held-out part itself."
    )
    assert text[2] == "With synthetic data: synthetic x1 has 0.618."
    assert text[3] == "Synthetic data x1 helped overall by +0.118 (+0.116 to +0.120), against real."
    assert text[4] == (
        "Synthetic data x1 did not help overall, against over-sampled: -0.015 (-0.017 to -0.013), a loss."
    )
    assert text[5] == "Over-sampling alone does better: 0.633, synthetic data -0.015 (-0.017 to -0.013) beside it."
    assert "Synthetic data x1 helped the head classes by +0.050 (+0.046 to +0.054), against over-sampled." in text
    assert "Synthetic data x1 helped class 'ant' by +0.050 (+0.046 to +0.054), against over-sampled." in text
    assert (
        "Synthetic data x1 did not help class 'bee', against over-sampled: +0.005 (+0.001 to +0.009), no gain of 0.02."
        not in text
    )
    assert (
        "Synthetic data x1 did not help class 'cat', against over-sampled: -0.100 (-0.104 to -0.096), a loss." in text
    )


def test_no_gain_and_too_close_are_told_apart() -> None:
    right = {
        "real": [(500, 500, 500), (500, 500, 500)],
        "over-sampled": [(600, 600, 600), (600, 600, 600)],
        "synthetic x1": [(601, 600, 640), (599, 600, 560)],
    }
    of = found(right, test_counts=(1000, 1000, 1000), ratios={k: RATIOS[k] for k in right})
    text = list(sentences(of))
    assert (
        "Synthetic data x1 did not help class 'bee', against over-sampled: +0.000 (-0.004 to +0.004), no gain of 0.02."
        in text
    )
    assert text[-1] == (
        "Whether synthetic data x1 helped, against over-sampled, cannot be told at 2 seeds for class 'cat' (+0.000)."
    )
    assert any(line.startswith("Over-sampling alone (0.600) may do as well: synthetic data +0.000") for line in text)
    even = {**right, "synthetic x1": right["over-sampled"]}
    text = list(sentences(found(even, test_counts=(1000, 1000, 1000), ratios={k: RATIOS[k] for k in even})))
    assert "Over-sampling alone does as well: 0.600, synthetic data +0.000 (-0.002 to +0.002) beside it." in text


def test_the_best_and_the_worst_ratio_are_named() -> None:
    text = list(sentences(found()))
    assert text[2].startswith("Of the ratios x0.5 is best with 0.713 and x1 worst with 0.610; the best was chosen")


def test_many_classes_are_counted() -> None:
    k = 25
    right = {
        name: [tuple([n] * k) for n in rows] for name, rows in (("real", (400, 402)), ("synthetic x1", (600, 602)))
    }
    of = found(
        right,
        test_counts=(1000,) * k,
        class_names=tuple(f"c{i}" for i in range(k)),
        groups=("tail",) * k,
        counts=(5,) * k,
        ratios={name: RATIOS[name] for name in right},
    )
    text = list(sentences(of))
    assert (
        "Of 25 classes, against real: 25 helped, 0 loss, 0 no help and 0 unclear; the 20 that differ most follow."
        in text
    )
    assert sum("helped class 'c" in line for line in text) == 20


def test_tables_and_page_hold_the_figures() -> None:
    of = found()
    columns, rows = main_table(of)
    assert columns == ("row", "mean", "head", "tail", "worst", "against real", "against over-sampled")
    assert [row[0] for row in rows] == list(RATIOS)
    assert rows[2][1].startswith("0.713\n+-0.0")
    assert rows[0][-2:] == ("-", "-")
    page = markdown(of)
    assert "| synthetic x0.5 | 0.713 +-" in page
    assert "- Note: a note." in page
    assert "| cat | 3 tail | 9 | 0.120 | 0.410 | 0.620 | +0.210" in page
    plain = to_dict(of)
    assert plain["rows"][2]["against"]["over-sampled"]["classes"]["cat"]["mean"] == pytest.approx(0.21)
    assert plain["rows"][2]["synthetic_by_class"] == {"ant": 0, "bee": 9, "cat": 9}
    assert plain["words"] == list(sentences(of))
