"""The quality page: well-formed, self-contained, escaped, complete, the answer first, whatever it is about."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from itertools import pairwise

import pytest

from evenscore.report import QualityReport, quality_page
from evenscore.report.quality import MethodReport, Part, Section, Value
from evenscore.report.quality_view import series_of, shown_classes
from evenscore.report.words import plain
from tests.report.reading import Page, contrast, schemes, visible

MARKS = [f"line-{i}" for i in range(6)]


def thousand(make: Callable[..., QualityReport]) -> QualityReport:
    return make([f"class-{k}" for k in range(1000)], ["plain", "cbdm"], pictures=0)


def failures_only(make: Callable[..., QualityReport]) -> QualityReport:
    method = MethodReport("cb<dm", {}, failures=("seed 0 <stopped>", "seed 1 stopped"))
    section = Section("Equal compute", (), (MethodReport("plain", {}), method))
    return dataclasses.replace(make(pictures=0), sections=(section,), measures=(), real={})


def one_seed(make: Callable[..., QualityReport]) -> QualityReport:
    report = make()

    def bare(values: object) -> dict[str, list[Value]]:
        assert isinstance(values, dict)
        return {key: [Value(v.value, note=v.note) for v in column] for key, column in values.items()}

    methods = tuple(
        dataclasses.replace(m, figures=bare(m.figures), differences=bare(m.differences))
        for m in report.sections[0].methods
    )
    return dataclasses.replace(report, sections=(dataclasses.replace(report.sections[0], methods=methods),))


KINDS: dict[str, Callable[[Callable[..., QualityReport]], QualityReport]] = {
    "three": lambda make: make(),
    "one": lambda make: make(methods=["run"]),
    "without pictures": lambda make: make(pictures=0),
    "thousand": thousand,
    "failures": failures_only,
    "one seed": one_seed,
    "two sections": lambda make: dataclasses.replace(make(), sections=make().sections * 2),
    "no part": lambda make: dataclasses.replace(make(), parts=(), sections=(), real={}),
    "groups only": lambda make: make(names=()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_report_is_a_page(make_quality: Callable[..., QualityReport], kind: str) -> None:
    text = quality_page(KINDS[kind](make_quality))
    page = Page(text)
    assert page.faults == []
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids)) > 1
    assert {a[key] for _, a in page.elements for key in ("aria-labelledby",) if key in a} <= set(ids)
    assert {(a.get("href") or "#")[1:] for a in page.all("a")} <= {*ids, ""}
    assert re.search(r"https?:|@import|url\(", text) is None
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "link", "iframe", "object", "embed", "form"})
    assert [key for _, a in page.elements for key in a if key.startswith("on")] == []
    assert [a for a in page.all("img") if not a["alt"] or not (a["src"] or "").startswith("data:image/png;")] == []
    assert len(page.all("caption")) == len(page.all("table"))
    assert [a for a in page.all("th") if a.get("scope") not in ("col", "row", "colgroup")] == []
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert all(b <= a + 1 for a, b in pairwise(levels))
    assert len(text) < 5_000_000


def test_names_are_text_whatever_they_hold(quality: QualityReport) -> None:
    text = quality_page(quality)
    assert "<script" not in text
    assert re.search("[\x00\u202e]", text) is None
    words = visible(text)
    told = ["Cats & <dogs>", "data/<in>", "'a <b>'", "<some>", "KD-<domain>", "cb<dm", "Equal <compute>", "<five>"]
    told += ["se<eds", "l<r", "tail<", "<loss>", "feat<ures", "domain (<64>)", "a <note>", "too <few>"]
    told += [plain(part.name) for part in quality.parts[5:]]
    assert [each for each in told if each not in words] == []
    assert text.encode("utf-8").decode("utf-8") == text


def test_the_answer_comes_first(quality: QualityReport) -> None:
    text = quality_page(quality)
    order = ["mutual helped", "1 run failed", "What helped, by KD-", "At a glance", "Class by class", "Methods</h3>"]
    order += [
        "Training</h3>",
        "Settings</h3>",
        'id="pictures"',
        'id="copies"',
        "Protocol and command</h2>",
        "Notes</h3>",
    ]
    places = [text.index(word) for word in order]
    assert places == sorted(places)
    assert "A head class has more than 100 training samples, a tail class fewer than 20" in text


def test_only_the_headline_is_open_and_every_measure_is_there(quality: QualityReport) -> None:
    text = quality_page(quality)
    page = Page(text)
    assert [a for a in page.all("details") if "open" in a] == []
    assert re.findall(r"<article class=\"panel measure\">\s*<h4>(.*?) <span", text) == ["KD-&lt;domain&gt;"]
    assert re.findall(r"<summary><h4>(.*?) <span", text) == ["recall-&lt;domain&gt;", "FD-&lt;domain&gt;"]
    charts = [a["aria-label"] or "" for a in page.all("svg") if a.get("role") == "img"]
    assert sum(label.startswith("Difference of ") for label in charts) == 2 + 1
    assert len(page.all("table")) == 1 + 3 + 1


def test_a_thousand_classes_are_in_the_tables_and_the_worst_in_the_charts(
    make_quality: Callable[..., QualityReport],
) -> None:
    report = thousand(make_quality)
    text = quality_page(report)
    rows = re.findall(r'<tr class="class"><th scope="row"><bdi>(.*?)</bdi>', text)
    assert rows == [f"class-{k}" for k in range(1000)] * 3
    assert "The 12 worst of 1,000 classes are drawn; the table holds all." in text
    places = shown_classes(report, report.sections[0], report.measures[0])
    assert [report.parts[i].name for i in places] == [f"class-{k}" for k in range(999, 987, -1)]


def test_forty_classes_are_drawn_by_their_training_samples(make_quality: Callable[..., QualityReport]) -> None:
    report = make_quality([f"c{k}" for k in range(6)], pictures=0)
    parts = [*report.parts[:5], *(Part("class", f"c{k}", "", k) for k in range(6))]
    report = dataclasses.replace(report, parts=tuple(parts))
    assert shown_classes(report, report.sections[0], report.measures[0]) == [10, 9, 8, 7, 6, 5]


def test_a_method_looks_the_same_in_every_section(quality: QualityReport) -> None:
    first = quality.sections[0]
    report = dataclasses.replace(
        quality, sections=(first, dataclasses.replace(first, title="Equal updates", methods=first.methods[::2]))
    )
    styles = [{each.name: each.style for each in series_of(report, section.methods)} for section in report.sections]
    assert styles == [{"plain": 5, "cb<dm": 0, "mutual": 1}, {"plain": 5, "mutual": 1}]


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_marks_and_verdicts_stand_out(quality: QualityReport, scheme: str) -> None:
    colours = schemes(quality_page(quality))[scheme]
    assert {name for name in MARKS if contrast(colours[name], colours["panel"]) < 3} == set()
    assert [name for name in ("good", "warn", "muted") if contrast(colours[name], colours["panel"]) < 4.5] == []
