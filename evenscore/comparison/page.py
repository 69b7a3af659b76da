"""The page of a comparison, from what its folder holds: figures, differences, pictures and curves of each method.

Law: the page says what ``comparison.json`` says. So it can be written again at any time; only the pictures of real images
need the data themselves.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evenscore.checkpoint import write_atomic
from evenscore.comparison.folder import Folder
from evenscore.comparison.grid import shown
from evenscore.comparison.pictures import SHOWN, load_pictures
from evenscore.data import Dataset, load
from evenscore.errors import EvenscoreError
from evenscore.report import quality_page
from evenscore.report.quality import ClassPictures, Measure, MethodReport, Part, QualityReport, Section, Value

RESULT, PAGE = "comparison.json", "index.html"


def write_page(folder: Folder, data: Dataset | None) -> Path:
    """Write the page of a comparison that has a result.

    Args:
        folder: of the comparison.
        data: its training data; None where they are not there any more: the page then has no real images.

    Raises:
        RunError: the result cannot be understood.
        DataError: the page cannot be written.
    """
    content = folder.read(RESULT)
    try:
        page = quality_page(_records(content, folder, data))
    except (LookupError, TypeError, AttributeError):
        raise folder.damaged(RESULT) from None
    write_atomic(folder.root / PAGE, page.encode())
    return folder.root / PAGE


def rewrite(root: Path) -> Path:
    """Write the page of the comparison in ``root`` again, with real images where the data are as they were.

    Raises:
        RunError, DataError: as :func:`write_page`, or the result is not what a comparison leaves.
    """
    folder = Folder(root)
    try:
        return write_page(folder, _data(folder))
    except (LookupError, TypeError, ValueError, AttributeError):
        raise folder.damaged(RESULT) from None


def _data(folder: Folder) -> Dataset | None:
    name, job = (folder.read(RESULT) or {}).get("data"), folder.read("job.json") or {}
    try:
        data = load(str(name))
    except EvenscoreError:
        return None
    return data if data.fingerprint == job.get("data") else None


def _records(content: Mapping[str, Any], folder: Folder, data: Dataset | None) -> QualityReport:
    shown = data is not None and data.kind == "image"
    return QualityReport(
        title=f"Methods on {Path(content['data']).name}, against {content['baseline']}",
        source=content["data"],
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        summary=tuple(_summary(content)),
        measures=tuple(Measure(**measure) for measure in content["measures"]),
        parts=tuple(Part(**part) for part in content["parts"]),
        sections=tuple(_section(section, content["timing"], folder, data) for section in content["sections"]),
        real={n: data.values[data.of_class(k)[:SHOWN]] for k, n in enumerate(data.class_names)}
        if shown and data is not None
        else {},
        baseline=content["baseline"],
        protocol=content["protocol"],
        notes=tuple(content["notes"]),
    )


def _summary(content: Mapping[str, Any]) -> Iterator[str]:
    """Under each rule the methods that beat the baseline, or that none did; what every method did stands in its section."""
    for section in content["sections"]:
        verdicts = [row["verdict"] for row in section["methods"] if row["verdict"] is not None]
        helped = [f"Equal {section['equal']}: {v['text']}" for v in verdicts if v["kind"] == "helped"]
        yield from helped or section["words"][1:2]


def _section(section: Mapping[str, Any], timing: Mapping[str, Any], folder: Folder, data: Dataset | None) -> Section:
    rule = section["equal"]
    methods = tuple(_method(row, rule, timing, folder, data) for row in section["methods"])
    return Section(f"Equal {rule}", tuple(section["words"]), methods)


def _method(
    row: Mapping[str, Any], rule: str, timing: Mapping[str, Any], folder: Folder, data: Dataset | None
) -> MethodReport:
    first = row["first"]
    return MethodReport(
        name=row["method"],
        figures=_values(row["figures"]),
        differences=_values(row["differences"]),
        facts=_facts(row, rule, timing),
        settings=row["settings"],
        pictures=() if first is None or data is None else _pictures(folder.root / "pictures" / f"{first}.npz", data),
        curves=_curves({} if first is None else folder.part(first) or {}),
        failures=tuple(row["failures"]),
    )


def _values(figures: Mapping[str, list[Mapping[str, Any]]]) -> dict[str, tuple[Value, ...]]:
    return {key: tuple(Value(**value) for value in values) for key, values in figures.items()}


def _facts(row: Mapping[str, Any], rule: str, timing: Mapping[str, Any]) -> dict[str, str]:
    cost, seconds = timing["cost of a step"].get(row["method"]), timing["seconds of training"][rule].get(row["method"])
    facts = {
        "steps": None if row["steps"] is None else f"{row['steps']}",
        "cost of a step": None if cost is None else f"{cost:.2f} x baseline",
        "seconds of training": None if seconds is None else f"{seconds:.0f}",
        "chosen": shown(row["chosen"]) or None,
        "seeds": f"{len(row['seeds'])}",
        "failed runs": f"{len(row['failures'])}" if row["failures"] else None,
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
