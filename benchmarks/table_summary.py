"""What the parts of the table benchmark say together.

Definitions. A *case* is a data set at one factor. The *best other* of a case, a classifier and a score is the method other
than ours with the highest mean over seeds, among those that failed on no seed. It is chosen on the seeds on which it is
then compared, which favours the others; beside it stands the same difference with the best other of each seed chosen on the
remaining seeds. Differences are paired by seed, with Student's 95 % interval. The *noise* of a score is the median over cases
of half the width of that interval. Law: ours ``holds`` if and only if, for every classifier and score, the median over cases
of (ours - best other) is at least minus the noise, and ours failed nowhere; ``not worse`` says whether that median is at
least 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from benchmarks.paired import paired
from benchmarks.table_methods import OURS
from benchmarks.table_scores import SCORES
from evenscore.evaluation.table_classifiers import CLASSIFIERS

Part = Mapping[str, Any]
NONE = "none"
TIE = 5e-4
"""Mean differences below half of the last digit that is shown count as ties."""


def case_summary(parts: Mapping[str, Sequence[Part]]) -> dict[str, Any]:
    """One case.

    Args:
        parts: method -> one part for each seed: ``scores`` by classifier and score, or ``failed`` with a sentence.
    """
    methods = {name: _method(rows) for name, rows in parts.items()}
    complete = {name: rows for name, rows in parts.items() if not any("failed" in row for row in rows)}
    found: dict[str, Any] = {"methods": methods}
    if OURS in complete:
        found["ours"] = {c: {s: _against(complete, c, s) for s in SCORES} for c in CLASSIFIERS}
    return found


def _method(rows: Sequence[Part]) -> dict[str, Any]:
    whole = [row for row in rows if "failed" not in row]
    found: dict[str, Any] = {}
    if len(whole) < len(rows):
        found["failed"] = f"{len(rows) - len(whole)} of {len(rows)}: {next(r['failed'] for r in rows if 'failed' in r)}"
    if whole:
        found["scores"] = {
            c: {s: float(np.mean([row["scores"][c][s] for row in whole])) for s in SCORES} for c in CLASSIFIERS
        }
        found["seconds"] = median(row["seconds"] for row in whole)
    return found


def _against(complete: Mapping[str, Sequence[Part]], classifier: str, score: str) -> dict[str, Any]:
    values = {name: np.array([row["scores"][classifier][score] for row in rows]) for name, rows in complete.items()}
    ours = values[OURS]
    others = {name: v for name, v in values.items() if not name.startswith(OURS)}
    found: dict[str, Any] = {"best of all": max(values, key=lambda name: float(values[name].mean()))}
    if NONE in others:
        found["ours - none"] = paired((ours - others[NONE]).tolist())
    if others:
        best = best_of(others)
        found |= {"best other": best, "ours - best other": paired((ours - others[best]).tolist())}
        found["against each"] = {name: float((ours - v).mean()) for name, v in others.items()}
        if len(ours) > 1:
            apart = [ours[i] - others[best_of(others, i)][i] for i in range(len(ours))]
            found["ours - best other of the remaining seeds"] = float(np.mean(apart))
    return found


def best_of(others: Mapping[str, Any], without: int | None = None) -> str:
    """The name of the highest mean over seeds, perhaps without one seed; the first of equal ones."""
    kept = {name: v if without is None else np.delete(v, without) for name, v in others.items()}
    return max(kept, key=lambda name: float(kept[name].mean()))


def over_cases(cases: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Medians over cases, for each classifier and score; empty where ours or the others are missing."""
    there = [case["ours"] for case in cases.values() if "ours" in case]
    rows = {(c, s): [case[c][s] for case in there] for c in CLASSIFIERS for s in SCORES}
    return {c: {s: _median([r for r in rows[c, s] if "best other" in r]) for s in SCORES} for c in CLASSIFIERS}


def _median(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if not rows:
        return {}
    ends = [row["ours - best other"] for row in rows]
    means = [mean for _, mean, _ in ends]
    noise = median((high - low) / 2 for low, _, high in ends)
    names = {name for row in rows for name in row["against each"]}
    each = {n: median(row["against each"][n] for row in rows if n in row["against each"]) for n in sorted(names)}
    chosen = [row.get("ours - best other of the remaining seeds", math.nan) for row in rows]
    return {
        "ours - best other": median(means),
        "noise": noise,
        "ours - best other of the remaining seeds": median(chosen),
        "ours is better, equal, worse": [
            sum(m >= TIE for m in means),
            sum(abs(m) < TIE for m in means),
            sum(m <= -TIE for m in means),
        ],
        "beyond the interval: better, worse": [sum(low > 0 for low, _, _ in ends), sum(high < 0 for *_, high in ends)],
        "ours - each": each,
    }


def verdict(medians: Mapping[str, Mapping[str, Mapping[str, Any]]], failures: int) -> dict[str, bool]:
    """``holds`` and ``not worse``, as this module defines them."""
    rows = [row for scores in medians.values() for row in scores.values()]
    whole = bool(rows) and all(rows) and failures == 0
    return {
        "holds": whole and all(row["ours - best other"] >= -row["noise"] for row in rows),
        "not worse": whole and all(row["ours - best other"] >= 0 for row in rows),
    }
