"""Rows of the study from the result of a comparison, and their table.

Law: a figure is the mean over seeds, its difference from plain denoising is paired by seed with Student's 95 % interval, and
the gain of a classifier is its mean recall minus that of the same classifier without synthetic samples on the same seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from benchmarks.paired import interval, paired

FIGURES = ("agreement", "energy", "copies", "classifier")
PARTS = {"all": "all", "head": "head", "medium": "medium", "tail": "tail", "worst class": "worst"}


def rows_of(content: Mapping[str, Any], without: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Method -> figures by part, differences from the baseline, and what it costs.

    Args:
        content: ``comparison.json``.
        without: of each seed, the recall of every class by the classifier without synthetic samples.
    """
    (section,) = content["sections"]
    names = [part["name"] for part in content["parts"]]
    places = {PARTS[name]: names.index(name) for name in PARTS if name in names}
    classes = [i for i, part in enumerate(content["parts"]) if part["kind"] == "class"]
    base = [fmean(recalls) for recalls in without]
    rows = {}
    for method in section["methods"]:
        title = method["method"]
        row: dict[str, Any] = {"cost of a step": content["timing"]["cost of a step"].get(title)}
        row |= {"steps": method["steps"], "chosen": method["chosen"], "failures": method["failures"]}
        row["seconds"] = content["timing"]["seconds of training"][section["equal"]].get(title)
        for key in FIGURES if method["figures"] else ():
            row[key] = {part: method["figures"][key][i]["value"] for part, i in places.items()}
            row[f"{key} by class"] = [method["figures"][key][i]["value"] for i in classes]
            against = method["differences"].get(key)
            if against is not None:
                row[f"{key} against plain"] = {part: ends(against[i]) for part, i in places.items()}
        gains = [method["by_seed"][s]["classifier"][0] - base[int(s)] for s in method["by_seed"]]
        row["gain"] = paired(gains) if gains else None
        rows[title] = row
    return {"rows": rows, "classifier without synthetic samples": fmean(base), "protocol": content["protocol"]}


def ends(value: Mapping[str, Any]) -> list[float] | None:
    """[low, mean, high] of a difference, None where it has no interval."""
    return None if value["low"] is None else [value["low"], value["value"], value["high"]]


def markdown(values: Mapping[str, Any]) -> str:
    """The tables of all sets."""
    return "\n".join(line for name, of in values["sets"].items() for line in (*_table(name, of), ""))


def _table(name: str, of: Mapping[str, Any]) -> Iterator[str]:
    yield f"**{name}** (classifier without synthetic samples, over-sampled: {of['classifier without synthetic samples']:.3f})"
    yield ""
    yield (
        "| method | cost of a step | agreement: all | worst class | tail | against plain, worst class | energy distance | "
        "against plain | copies | classifier's gain |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for method, row in of["rows"].items():
        if "agreement" not in row:
            yield f"| {method} | failed: {'; '.join(row['failures'])} |" + " |" * 8
            continue
        agreement, energy = row["agreement"], row["energy"]
        cells = (
            method,
            f"{row['cost of a step']:.2f}",
            *(f"{agreement[part]:.3f}" if part in agreement else "" for part in ("all", "worst", "tail")),
            interval(row.get("agreement against plain", {}).get("worst")),
            f"{energy['all']:.3f}",
            interval(row.get("energy against plain", {}).get("all")),
            f"{row['copies']['all']:.3f}",
            interval(row["gain"]),
        )
        yield f"| {' | '.join(cells)} |"
