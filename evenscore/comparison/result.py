"""The records of a comparison's result, and its JSON.

Law: what was timed stands under ``timing`` and nowhere else, so that two results of the same work are equal in the rest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from evenscore.checkpoint import write_atomic
from evenscore.comparison.folder import Folder
from evenscore.comparison.plan import Choice, Chosen, Planner, Trial
from evenscore.comparison.words import Verdict
from evenscore.data import Dataset
from evenscore.report.quality import Measure, Part, Value


@dataclass(frozen=True, eq=False)
class Found:
    """What a result is made from.

    Attributes:
        data: training data.
        planner: methods, configuration and measured costs.
        chosen: what each method chose under each rule.
        folder: of the finished parts.
        protocol: of the judge, name -> words.
        added: whether the baseline was added.
    """

    data: Dataset
    planner: Planner
    chosen: Chosen
    folder: Folder
    protocol: Mapping[str, str]
    added: bool


@dataclass(frozen=True, eq=False)
class Row:
    """One method of a section.

    Attributes:
        title: of the method.
        steps: optimiser steps; None where its cost could not be measured.
        choice: what it chose; None where it could not.
        by_seed: seed -> its figures.
        figures: means over seeds.
        differences: from the baseline, paired; empty for the baseline.
        settings: in which it differs from the baseline; of the baseline those that a recipe may set.
        failures: a sentence for each of its runs that failed.
        verdict: in words; None for the baseline.
        first: the run of the first seed.
        cost: of a step, as a multiple of the baseline's; None where not known.
        seconds: of training, mean over seeds; None without any.
    """

    title: str
    steps: int | None
    choice: Choice | None
    by_seed: Mapping[int, Mapping[str, tuple[Value, ...]]]
    figures: Mapping[str, tuple[Value, ...]]
    differences: Mapping[str, tuple[Value, ...]]
    settings: Mapping[str, str]
    failures: tuple[str, ...]
    verdict: Verdict | None
    first: Trial | None
    cost: float | None
    seconds: float | None

    @property
    def seeds(self) -> tuple[int, ...]:
        """Those that were judged."""
        return tuple(self.by_seed)


@dataclass(frozen=True, eq=False)
class Section:
    """Methods under one rule; the baseline first."""

    rule: str
    words: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Everything that was found.

    Attributes:
        data: name of the training data.
        baseline: title of the baseline.
        measures, parts: of all figures; empty where no run was judged.
        sections: by rule.
        protocol: name -> words.
        notes: whole sentences.
        failures: of all methods.
    """

    data: str
    baseline: str
    measures: tuple[Measure, ...]
    parts: tuple[Part, ...]
    sections: tuple[Section, ...]
    protocol: Mapping[str, str]
    notes: tuple[str, ...]
    failures: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """In terms of JSON."""
        return {
            "data": self.data,
            "baseline": self.baseline,
            "measures": [asdict(m) for m in self.measures],
            "parts": [asdict(p) for p in self.parts],
            "sections": [
                {"equal": s.rule, "words": list(s.words), "methods": [_row_dict(row) for row in s.rows]}
                for s in self.sections
            ],
            "protocol": dict(self.protocol),
            "notes": list(self.notes),
            "failures": list(self.failures),
            "timing": {
                "cost of a step": {row.title: row.cost for row in self.sections[0].rows},
                "seconds of training": {s.rule: {row.title: row.seconds for row in s.rows} for s in self.sections},
            },
        }


def _row_dict(row: Row) -> dict[str, Any]:
    return {
        "method": row.title,
        "steps": row.steps,
        "first": None if row.first is None else row.first.name,
        "chosen": {} if row.choice is None else row.choice.settings,
        "seeds": list(row.seeds),
        "by_seed": {
            f"{seed}": {k: [v.value for v in vs] for k, vs in found.items()} for seed, found in row.by_seed.items()
        },
        "figures": {key: [asdict(value) for value in values] for key, values in row.figures.items()},
        "differences": {key: [asdict(value) for value in values] for key, values in row.differences.items()},
        "settings": dict(row.settings),
        "failures": list(row.failures),
        "verdict": None if row.verdict is None else asdict(row.verdict),
    }


def write_json(comparison: Comparison, folder: Folder) -> None:
    """Write ``comparison.json``.

    Raises:
        DataError: the disk is full.
    """
    content = json.dumps(comparison.to_dict(), ensure_ascii=False, indent=1)
    write_atomic(folder.root / "comparison.json", content.encode())
