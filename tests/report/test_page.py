"""The page: well-formed, self-contained, escaped, complete, small, and legible in both colour schemes."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from evenscore.errors import DataError
from evenscore.report import BalanceReport, balance_page, write_page
from evenscore.report.words import plain
from tests.report.reading import Page, contrast, schemes, visible

TEXT_PAIRS = [
    (text, ground)
    for text, grounds in {
        "ink": ("paper", "panel", "warn-panel"),
        "muted": ("paper", "panel"),
        "link": ("paper", "panel"),
        "warn": ("panel", "warn-panel"),
    }.items()
    for ground in grounds
]
GRAPHICS = ("real", "made", "target", "line-0", "line-1", "line-2", "line-3")


@pytest.fixture(params=["report", "many_classes", "vectors"])
def any_page(request: pytest.FixtureRequest) -> str:
    return balance_page(request.getfixturevalue(request.param))


def test_tags_are_balanced_and_ids_are_unique(any_page: str) -> None:
    page = Page(any_page)
    assert page.faults == []
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids)) > 5
    references = [a[key] for _, a in page.elements for key in ("aria-labelledby", "aria-describedby") if key in a]
    assert set(references) <= set(ids)


def test_nothing_is_fetched_and_nothing_runs(any_page: str) -> None:
    page = Page(any_page)
    targets = [a[key] or "" for _, a in page.elements for key in ("src", "href", "xlink:href", "srcset") if key in a]
    assert [target for target in targets if not target.startswith(("data:image/png;base64,", "#"))] == []
    assert re.search(r"https?:|@import|url\(", any_page) is None
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "link", "iframe", "object", "embed"})
    assert [key for _, a in page.elements for key in a if key.startswith("on")] == []


def test_names_are_text_whatever_they_hold(report: BalanceReport) -> None:
    text = balance_page(report)
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    for word in ("Cats & <dogs>", "data/<in>", "3 <files> were left out.", "<someone>", "guid<ance", "tail<"):
        assert word in visible(text)
    assert "Stopped after 4,000 <candidates>." in visible(text)
    assert text.encode("utf-8").decode("utf-8") == text
    assert re.search("[\x00\u202e]", text) is None


def test_every_class_has_a_row_with_its_numbers(report: BalanceReport) -> None:
    text = balance_page(report)
    rows = re.findall(r"<tr>\s*<th scope=\"row\">(.*?)</tr>", text.partition("<tbody>")[2], flags=re.DOTALL)
    assert len(rows) == len(report.classes) + 1
    for each, row in zip(report.classes, rows, strict=False):
        words = Page(f"<div>{row.replace('</th>', '')}</div>").words("div")
        assert words.startswith(plain(each.name))
        for n in (each.real, each.kept, each.made, each.wanted, each.candidates, each.copies, each.mislabelled):
            assert re.search(rf"(?<![\d,]){n:,}(?![\d,])", words)
    assert "0.41 (0.37 to 0.46)" in rows[5]
    assert "(111 short)" in rows[5]
    assert "not measured" in rows[0]
    assert f"{report.total('made'):,}" in rows[-1]


def test_the_table_of_many_classes_is_complete_and_the_grids_are_the_smallest_forty(
    many_classes: BalanceReport,
) -> None:
    text = balance_page(many_classes)
    rows = re.findall(r'<th scope="row"><bdi>(.*?)</bdi>', text)
    assert rows == [each.name for each in many_classes.classes]
    grids = re.findall(r"<h3><bdi>(.*?)</bdi>", text)
    assert grids == [f"class-{k}" for k in range(299, 259, -1)]
    assert "Grids are shown for the 40 smallest of 300 classes" in text
    assert "the 12 lowest of 300 classes" in text
    assert len(text) < 5_000_000


def test_the_page_can_be_read_without_seeing_it(report: BalanceReport) -> None:
    page = Page(balance_page(report))
    assert page.all("html") == [{"lang": "en"}]
    assert [a for a in page.all("th") if a.get("scope") not in ("col", "row")] == []
    images = page.all("img")
    assert len(images) == 1 + 5 * 3
    assert all(a["alt"] and a["width"] and a["height"] for a in images)
    assert any(a["alt"] == "16 synthetic images of class <script>alert(1)</script>" for a in images)
    charts = [a for a in page.all("svg") if a.get("role") == "img"]
    assert len(charts) == 3
    assert all(a["aria-label"] for a in charts)
    skip = page.all("a")[0]
    assert skip["class"] == "skip"
    assert {"id": (skip["href"] or "")[1:]} in page.all("main")
    assert [tag for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)][:2] == ["h1", "h2"]


def test_the_summary_comes_first_and_names_the_classes_to_trust_least(report: BalanceReport) -> None:
    text = balance_page(report)
    order = [
        text.index(f'id="{name}"') for name in ("summary", "charts", "table", "pictures", "loss", "made", "protocol")
    ]
    assert order == sorted(order)
    assert order[0] < text.index("Trust these classes least") < order[1]
    assert "only 7 real to learn from; 72% of 4,000 candidates rejected; label agreement 0.41 (0.37 to 0.46)" in text
    assert "plan not met, 111 short of 1,234" in text


def test_without_pictures_there_are_no_grids(vectors: BalanceReport) -> None:
    text = balance_page(vectors)
    assert Page(text).all("img") == []
    assert 'id="pictures"' not in text
    assert 'id="loss"' not in text
    assert 'id="protocol"' not in text
    assert "Agreement</th>" not in text
    assert "real samples in 6 classes" in text


@pytest.mark.parametrize(("foreground", "ground"), TEXT_PAIRS)
@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_text_stands_out(vectors: BalanceReport, scheme: str, foreground: str, ground: str) -> None:
    colours = schemes(balance_page(vectors))[scheme]
    assert contrast(colours[foreground], colours[ground]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_bars_and_lines_stand_out(vectors: BalanceReport, scheme: str) -> None:
    colours = schemes(balance_page(vectors))[scheme]
    assert {name for name in GRAPHICS if contrast(colours[name], colours["panel"]) < 3} == set()


def test_the_measure_of_contrast_itself() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)


def test_dark_narrow_and_print_are_provided_for(vectors: BalanceReport) -> None:
    text = balance_page(vectors)
    assert "@media (prefers-color-scheme: dark)" in text
    assert "@media print" in text
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in text
    assert '<meta name="color-scheme" content="light dark">' in text
    dark = re.findall(r"--([\w-]+):", re.findall(r":root \{(.*?)\}", text, flags=re.DOTALL)[1])
    assert set(dark) == set(schemes(text)["light"])


def test_used_colours_are_defined(vectors: BalanceReport) -> None:
    text = balance_page(vectors)
    assert set(re.findall(r"var\(--([\w-]+)\)", text)) <= set(schemes(text)["light"])


def test_the_game_is_drawn_where_one_was_trained(report: BalanceReport) -> None:
    assert 'id="game"' not in balance_page(report)
    curves = {
        "gap proxy": [(500, 2.0), (1000, 0.25)],
        "last-layer <gap>": [(500, 0.5), (1000, 0.125)],
        "single": [(1, 1)],
    }
    text = balance_page(dataclasses.replace(report, game_curves=curves))
    page = Page(text)
    assert page.faults == []
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", text[text.index('id="game"') :])
    assert captions == ["gap proxy", "last-layer &lt;gap&gt;"], "a curve needs two points"
    assert 'aria-label="Gap proxy from 0.25 to 2 against the training step"' in text


def test_a_report_without_a_class_is_a_page_still(report: BalanceReport) -> None:
    page = Page(balance_page(dataclasses.replace(report, classes=(), loss_curve={})))
    assert page.faults == []
    assert page.all("table") == []


def test_write_page(tmp_path: Path, vectors: BalanceReport) -> None:
    write_page(tmp_path / "index.html", vectors)
    assert (tmp_path / "index.html").read_text(encoding="utf-8") == balance_page(vectors)
    with pytest.raises(DataError, match="page .* cannot be written"):
        write_page(tmp_path / "nowhere" / "index.html", vectors)


def test_doubts_beyond_the_twelfth_are_counted(report: BalanceReport) -> None:
    few = [dataclasses.replace(report.classes[0], name=f"few {i}", real=1, kept=1) for i in range(15)]
    text = balance_page(dataclasses.replace(report, classes=tuple(few)))
    assert re.findall(r"<li><b><bdi>(.*?)</bdi></b>: ", text) == [f"few {i}" for i in range(12)]
    assert "<li>3 classes more; see below.</li>" in text
