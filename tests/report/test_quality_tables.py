"""Tables: every figure of every part, stars by paired differences, reasons once below."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from evenscore.report import QualityReport
from evenscore.report.quality import Value
from evenscore.report.quality_tables import NOT_GIVEN, Cell, facts_table, glance_table, measure_table, method_table


def test_a_row_for_each_part_and_a_column_for_each_value_and_difference(quality: QualityReport) -> None:
    table = measure_table(quality, quality.sections[0], quality.measures[0])
    assert [line.name for line in table.lines] == ["all samples", *(part.name for part in quality.parts[1:])]
    assert table.columns == ("plain", "cb<dm", "mutual", "cb<dm", "mutual")
    assert table.heads == (("value", 3), ("difference from plain", 2))
    assert {len(line.cells) for line in table.lines} == {5}
    first = table.lines[0].cells
    assert first[0] == Cell("0.0100", "0.0080 to 0.0120")
    assert first[1] == Cell("0.0060", "0.0040 to 0.0080", star=True)
    assert first[3] == Cell("−0.0040", "−0.0070 to −0.0010", star=True, verdict="better")
    assert (table.lines[1].kind, table.lines[1].cells[0].note) == ("worst", f"class {quality.parts[-1].name}")
    assert (table.lines[5].group, table.lines[5].trained) == ("head", "trained on 200")
    assert table.caption == "KD-<domain>, lower is better: squared distance of distributions."


def test_no_star_where_the_interval_holds_zero(quality: QualityReport) -> None:
    table = measure_table(quality, quality.sections[0], quality.measures[1])
    assert [cell for line in table.lines for cell in line.cells if cell.star or cell.verdict] == []


def test_what_is_not_given_has_its_reason_once(quality: QualityReport) -> None:
    table = measure_table(quality, quality.sections[0], quality.measures[2])
    assert [line.cells[0].value for line in table.lines] == ["4.00", *[NOT_GIVEN] * 10]
    (note,) = table.notes
    assert note.startswith("worst class, head, medium, tail, ")
    assert note.endswith("and 4 more: not given, 50 samples are too <few> for a Frechet distance")


def test_notes_of_given_figures_stand_below_as_well(quality: QualityReport) -> None:
    method = quality.sections[0].methods[0]
    values = [Value(1.0, note="on 10,000 samples"), *[Value(2.0)] * 10]
    section = dataclasses.replace(
        quality.sections[0], methods=(dataclasses.replace(method, figures={"kernel": values}),)
    )
    assert measure_table(quality, section, quality.measures[0]).notes == ("all: on 10,000 samples",)


def test_one_method_has_a_column_for_each_measure(quality: QualityReport) -> None:
    table = method_table(quality, quality.sections[0].methods[0])
    assert table.columns == ("KD-<domain> (↓)", "recall-<domain> (↑)", "FD-<domain> (↓)")
    assert [cell.value for cell in table.lines[0].cells] == ["0.0100", "0.500", "4.00"]
    assert len(table.lines) == len(quality.parts)
    assert len(table.notes) == 1


def test_at_a_glance_the_methods_are_rows(quality: QualityReport) -> None:
    table = glance_table(quality, quality.sections[0], quality.measures[0])
    assert table.columns == ("all samples", "worst class", "head", "medium", "tail")
    assert [line.name for line in table.lines] == ["plain", "cb<dm", "mutual"]
    assert [line.kind for line in table.lines] == ["baseline", "method", "method"]
    assert [cell.verdict for cell in table.lines[2].cells] == ["better"] * 5
    assert [cell.verdict for cell in table.lines[0].cells] == [""] * 5


def test_a_thousand_classes_are_all_there(make_quality: Callable[..., QualityReport]) -> None:
    report = make_quality([f"c{k}" for k in range(1000)], pictures=0)
    table = measure_table(report, report.sections[0], report.measures[0])
    assert [line.name for line in table.lines[5:]] == [f"c{k}" for k in range(1000)]


def test_facts_are_those_of_any_method(quality: QualityReport) -> None:
    section = quality.sections[0]
    methods = (dataclasses.replace(section.methods[0], facts={"seconds": "3"}), *section.methods[1:])
    table = facts_table(dataclasses.replace(section, methods=methods))
    assert table is not None
    assert table.columns == ("seconds", "steps", "se<eds")
    assert [cell.value for cell in table.lines[0].cells] == ["3", NOT_GIVEN, NOT_GIVEN]
    bare = tuple(dataclasses.replace(method, facts={}) for method in methods)
    assert facts_table(dataclasses.replace(section, methods=bare)) is None
