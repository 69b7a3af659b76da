"""A comparison as the records of a quality page: figures, differences, pictures and curves of each method."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from evenscore.comparison.markdown import chosen
from evenscore.comparison.pictures import SHOWN, load_pictures
from evenscore.comparison.result import Comparison, Found, Row, Section
from evenscore.data import Dataset
from evenscore.report.quality import ClassPictures, MethodReport, QualityReport
from evenscore.report.quality import Section as PageSection


def report(comparison: Comparison, found: Found) -> QualityReport:
    """The records of the page."""
    data = found.data
    real = (
        {}
        if data.kind != "image"
        else {n: data.values[data.of_class(k)[:SHOWN]] for k, n in enumerate(data.class_names)}
    )
    return QualityReport(
        title=f"Methods on {Path(data.name).name}, against {comparison.baseline}",
        source=data.name,
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        summary=tuple(_summary(comparison)),
        measures=comparison.measures,
        parts=comparison.parts,
        sections=tuple(_section(section, found) for section in comparison.sections),
        real=real,
        baseline=comparison.baseline,
        protocol=comparison.protocol,
        notes=comparison.notes,
    )


def render(records: QualityReport) -> str | None:
    """The page as HTML; None where the renderer is not there."""
    draw = getattr(import_module("evenscore.report"), "quality_page", None)
    return None if draw is None else str(draw(records))


def _summary(comparison: Comparison) -> Iterator[str]:
    for section in comparison.sections:
        lead = f"Equal {section.rule}: "
        yield from (lead + word for word in section.words[1:])


def _section(section: Section, found: Found) -> PageSection:
    return PageSection(f"Equal {section.rule}", section.words, tuple(_method(row, found) for row in section.rows))


def _method(row: Row, found: Found) -> MethodReport:
    part = None if row.first is None else found.folder.part(row.first.name)
    return MethodReport(
        name=row.title,
        figures=row.figures,
        differences=row.differences,
        facts=_facts(row),
        settings=row.settings,
        pictures=()
        if row.first is None
        else _pictures(found.folder.root / "pictures" / f"{row.first.name}.npz", found.data),
        curves=_curves(part or {}),
        failures=row.failures,
    )


def _facts(row: Row) -> dict[str, str]:
    facts = {
        "steps": None if row.steps is None else f"{row.steps}",
        "cost of a step": None if row.cost is None else f"{row.cost:.2f} x baseline",
        "seconds of training": None if row.seconds is None else f"{row.seconds:.0f}",
        "chosen": chosen(row) or None,
        "seeds": f"{len(row.seeds)}",
        "failed runs": f"{len(row.failures)}" if row.failures else None,
    }
    return {name: words for name, words in facts.items() if words is not None}


def _pictures(path: Path, data: Dataset) -> tuple[ClassPictures, ...]:
    kept = load_pictures(path)
    if kept is None:
        return ()
    return tuple(
        ClassPictures(name, kept.images[kept.labels == k], data.values[kept.nearest[kept.labels == k]])
        for k, name in enumerate(data.class_names)
    )


def _curves(part: Mapping[str, Any]) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Curves of the first seed, those that there are."""
    return {
        title: {name: [(step, value) for step, value in line] for name, line in lines.items()}
        for title, lines in part.get("curves", {}).items()
        if lines
    }
