"""The tables of a study as markdown, for the docs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from benchmarks.paired import interval

FIGURES = {"agreement": "label agreement", "energy": "energy distance"}


def markdown(values: Mapping[str, Any]) -> str:
    """For each data set: what was chosen, and every method's figures beside the paired differences from plain denoising."""
    parts = []
    for name, study in values.items():
        if isinstance(study, Mapping):
            parts += [f"### {name}", "", *chosen(study), ""]
            for figure, words in FIGURES.items():
                parts += [f"{words.capitalize()}:", "", *table(study["table"], figure), ""]
    return "\n".join(parts)


def chosen(study: Mapping[str, Any]) -> list[str]:
    """Learning rate, dropout, steps and cost of a step of each method."""
    lines = ["| method | learning rate | dropout | steps | cost of a step |", "|---|---|---|---|---|"]
    for method, place in study["chosen"].items():
        cost = study["cost of a step"].get(method)
        words = "" if cost is None else f"{cost:.2f}"
        lines.append(
            f"| {method} | {place['lr']:g} | {place['dropout']:g} | {study['table'][method]['steps']} | {words} |"
        )
    return lines


def table(rows: Mapping[str, Mapping[str, Any]], figure: str) -> list[str]:
    """Means of a figure, and paired differences from plain and resampled denoising with their 95 % intervals.

    Groups that no class is of are left out; the last group there is, that of the rarest classes, has its differences shown.
    """
    first = next(iter(rows.values()))[figure]
    groups = [group for group in ("mean", "worst", "head", "medium", "tail") if not math.isnan(first[group])]
    rarest = groups[-1]
    lines = [
        "| method | " + " | ".join(groups) + f" | mean, against plain | worst, against plain | {rarest}, against plain "
        f"| {rarest}, against resampled |",
        "|---|" + "---|" * (len(groups) + 4),
    ]
    for method, row in rows.items():
        plain, resampled = (row.get(f"{figure} against {base}", {}) for base in ("plain", "resampled"))
        cells = [f"{row[figure][group]:.3f}" for group in groups]
        cells += [interval(plain.get(group)) for group in ("mean", "worst", rarest)] + [interval(resampled.get(rarest))]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return lines
