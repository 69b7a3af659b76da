"""A comparison as tables for the terminal, as one JSON object, and as a page of markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean, stdev
from typing import Any

from evenscore.downstream.found import MEAN, WORST, Difference, Found, Values
from evenscore.downstream.methods import REAL
from evenscore.downstream.words import sentences, span, verdict
from evenscore.labels import GROUPS
from evenscore.report.words import inert

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]
"""Columns and rows."""


def main_table(found: Found) -> Table:
    """Every row: mean recall with its spread, groups, worst class, and differences of the mean."""
    groups = [group for group in GROUPS if group in found.rows[REAL].figures]
    base = found.best_without
    named = (*(() if base == REAL else (f"against {base}",)),)
    columns = ("row", "mean", *groups, "worst", "against real", *named)
    rows = []
    for name, row in found.rows.items():
        figures = [f"{fmean(row.figures[key]):.3f}" for key in (*groups, WORST)]
        against = found.against[name]
        bases = (REAL, *((base,) if named else ()))
        differences = [cell(against[b].figures[MEAN]) if b in against else "-" for b in bases]
        rows.append((name, spread(row.figures[MEAN]), *figures, *differences))
    return columns, rows


def class_table(found: Found) -> Table:
    """Every class: its numbers, its recall in `real`, in the best row without synthetic data and in that of the best ratio, and
    the difference of the last two."""
    facts, base, best = found.facts, found.rows[found.best_without], found.rows[found.best_with]
    shown = list(dict.fromkeys([REAL, base.name, best.name]))
    columns = ("class", "trained on", "made", *shown, "last two", "verdict")
    rows = []
    for k, name in enumerate(facts.class_names):
        difference = found.against[best.name][base.name].classes[k]
        recalls = [_mean(found.rows[row].classes[k]) for row in shown]
        numbers = (f"{facts.counts[k]} {facts.groups[k]}", f"{best.synthetic[k]}")
        said = ("-", "-") if difference is None else (cell(difference), verdict(difference, facts.settings["margin"]))
        rows.append((name, *numbers, *recalls, *said))
    return columns, rows


def _mean(values: Values | None) -> str:
    return "-" if values is None else f"{fmean(values):.3f}"


def spread(values: Values) -> str:
    """Mean, and the standard deviation over seeds below it; the value alone for one seed."""
    return f"{values[0]:.3f}" if len(values) == 1 else f"{fmean(values):.3f}\n+-{stdev(values):.3f}"


def cell(difference: Difference) -> str:
    """A difference with its interval below it."""
    if difference.low is None or difference.high is None:
        return span(difference)
    return f"{difference.mean:+.3f}\n{difference.low:.3f}..{difference.high:.3f}"


def to_dict(found: Found) -> dict[str, Any]:
    """Everything that was found, in terms of JSON."""
    facts = found.facts
    rows = [
        {
            "row": name,
            "ratio": row.ratio,
            "synthetic": sum(row.synthetic),
            "synthetic_by_class": dict(zip(facts.class_names, row.synthetic, strict=True)),
            "mean": row.mean,
            "by_seed": {key: list(values) for key, values in row.figures.items()},
            "classes_by_seed": {
                c: None if values is None else list(values)
                for c, values in zip(facts.class_names, row.classes, strict=True)
            },
            "against": {
                base: {
                    **{key: _difference(d, found) for key, d in against.figures.items()},
                    "classes": {
                        c: _difference(d, found) for c, d in zip(facts.class_names, against.classes, strict=True)
                    },
                }
                for base, against in found.against[name].items()
            },
        }
        for name, row in found.rows.items()
    ]
    plain = {key: value for key, value in asdict(facts).items() if key not in ("ratios", "notes")}
    return {
        **plain,
        "rows": rows,
        "best_without": found.best_without,
        "best_with": found.best_with,
        "worst_with": found.worst_with,
        "notes": list(facts.notes),
        "words": list(sentences(found)),
    }


def _difference(difference: Difference | None, found: Found) -> dict[str, Any] | None:
    if difference is None:
        return None
    return {**asdict(difference), "verdict": verdict(difference, found.facts.settings["margin"])}


def markdown(found: Found) -> str:
    """The page: what was measured, the tables, and the verdict."""
    facts = found.facts
    lines = [
        f"# Downstream: {inert(facts.data)} with synthetic samples of {inert(facts.synthetic)}",
        "",
        *(f"- {inert(text)}" for text in sentences(found)),
        *(f"- Note: {inert(note)}." for note in facts.notes),
        "",
        *_lines(main_table(found)),
        "",
        *_lines(class_table(found)),
        "",
    ]
    return "\n".join(lines)


def _lines(table: Table) -> list[str]:
    columns, rows = table
    return [_line(columns), _line(["---"] * len(columns)), *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(inert(" ".join(cell.split())) for cell in cells) + " |"
