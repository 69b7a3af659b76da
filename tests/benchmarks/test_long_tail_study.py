"""The study of objectives: rows from a comparison's result, gains by hand, and that no objective is forgotten."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

import pytest

from benchmarks import long_tail_study
from benchmarks.study_judge import values
from benchmarks.study_rows import markdown, rows_of
from evenscore.report.quality import Part

PARTS = [
    {"kind": "all", "name": "all"},
    {"kind": "worst", "name": "worst class"},
    {"kind": "group", "name": "tail"},
    {"kind": "class", "name": "a"},
    {"kind": "class", "name": "b"},
]


def figures(value: float) -> list[dict[str, Any]]:
    return [{"value": value + i / 10, "low": value - 1, "high": value + 1} for i in range(len(PARTS))]


def content() -> dict[str, Any]:
    keys = ("agreement", "energy", "copies", "classifier")
    method = {"steps": 5, "chosen": {}, "failures": []}
    by_seed = {"0": {"classifier": [0.5, 0.4]}, "1": {"classifier": [0.7, 0.6]}}
    plain = {"method": "plain", "figures": {key: figures(0.0) for key in keys}, "differences": {}, "by_seed": by_seed}
    other = {"method": "x", "figures": {key: figures(0.5) for key in keys}, "by_seed": by_seed}
    other["differences"] = {key: figures(0.25) for key in keys}
    timing = {"cost of a step": {"plain": 1.0, "x": 1.5}, "seconds of training": {"compute": {"plain": 2.0, "x": 2.1}}}
    sections = [{"equal": "compute", "methods": [method | plain, method | other]}]
    return {"sections": sections, "parts": PARTS, "timing": timing, "protocol": {}}


def test_rows_hold_means_differences_and_gains_paired_by_seed() -> None:
    found = rows_of(content(), [[0.4, 0.4], [0.4, 0.6]])
    row = found["rows"]["x"]
    assert row["agreement"] == pytest.approx({"all": 0.5, "worst": 0.6, "tail": 0.7})
    assert row["agreement by class"] == pytest.approx([0.8, 0.9])
    assert row["energy against plain"]["all"] == pytest.approx([-0.75, 0.25, 1.25])
    assert row["cost of a step"] == 1.5
    low, mean, high = row["gain"]
    assert mean == pytest.approx((0.1 + 0.2) / 2)
    assert high - mean == pytest.approx(
        12.706 * 0.05, rel=1e-3
    )  # Student's factor of two seeds, over deviation / sqrt(2)
    assert mean - low == pytest.approx(high - mean)
    assert found["classifier without synthetic samples"] == pytest.approx(0.45)
    assert "| x | 1.50 | 0.500 | 0.600 | 0.700 |" in markdown({"sets": {"digits": found}})


def test_recalls_become_one_value_for_each_part() -> None:
    parts = [Part("all", "all"), Part("worst", "worst class"), Part("group", "tail")]
    parts += [Part("class", name, group) for name, group in (("a", "head"), ("b", "tail"), ("c", "tail"))]
    found = values(parts, [0.9, 0.3, 0.6])
    assert [value.value for value in found] == pytest.approx([0.6, 0.3, 0.45, 0.9, 0.3, 0.6])
    assert found[1].note == "class b"


def test_the_study_leaves_no_objective_out_and_says_so_where_it_does() -> None:
    assert long_tail_study.missing(long_tail_study.RECIPES) == []
    assert "coral" in long_tail_study.missing(["resampled", "cbdm"])
    parser = ArgumentParser()
    long_tail_study.add_arguments(parser)
    assert parser.parse_args([]).methods == list(long_tail_study.RECIPES)


def test_rankings_are_compared_over_the_methods_that_both_sets_have() -> None:
    def of(**energies: float) -> dict[str, Any]:
        return {"rows": {name: {"energy": {"all": value}} for name, value in energies.items()}}

    assert long_tail_study.correlation(of(a=1, b=2, c=3), of(c=9, b=5, a=4, d=0)) == pytest.approx(1)
    assert long_tail_study.correlation(of(a=1, b=2, c=3), of(a=3, b=2, c=1)) == pytest.approx(-1)
    assert long_tail_study.correlation(of(a=1, b=2), of(a=3, b=2)) is None
