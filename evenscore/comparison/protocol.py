"""The protocol of a comparison in words: what was the same for all methods, and what a reader has to know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evenscore.comparison.grid import shown
from evenscore.comparison.result import Found, Section
from evenscore.comparison.words import chance, looked_at
from evenscore.report.quality import Part

FEWEST_SEEDS = 3
"""Below, a note says that the intervals are wide: Student's factor is 12.7 for two seeds, 4.3 for three."""


def protocol(found: Found) -> dict[str, str]:
    """Everything that was chosen for all methods, name -> words."""
    config, measured, labels = found.planner.config, found.planner.measured, found.data.distribution
    base = found.planner.recipes[0].config(config.common)
    grid = "; ".join(f"{key} {', '.join(f'{v}' for v in values)}" for key, values in config.grid.items())
    words = {
        "data": f"{found.data.name}: {labels.total} samples, largest class {labels.imbalance:.4g} times the smallest",
        "budget": f"{measured.steps} optimiser steps of the baseline ({config.budget})",
        "the same for all": f"network {measured.network}, batch {base.batch_size} x {base.accumulate}, precision "
        f"{measured.precision}, memory format {measured.memory_format}, ema {base.ema:g}",
        "seeds": f"{config.seeds}, paired: the same initial weights and the same noise of samples, and the same batches where "
        "the policy is the same",
        "grid": grid or "none: every method has its own settings",
    }
    if config.chooses:
        words["choice"] = (
            "the place of least mean energy distance by class to the half of the held-out data that chooses, on a seed that is "
            "not judged, for each method and section"
        )
    return {
        **words,
        **found.protocol,
        "intervals": "Student's, 95 %, over seeds; a star where that of a paired difference leaves out zero",
        "cost of a step": "processor time against the baseline's, in alternating rounds; within 5 % of it counts as equal",
    }


def notes(found: Found, sections: Sequence[Section], parts: Sequence[Part]) -> Iterator[str]:
    """What a reader has to know beside the figures."""
    if found.added:
        yield f"The baseline {found.planner.config.baseline} was not among the recipes and was added."
    if found.planner.config.seeds < FEWEST_SEEDS:
        yield f"With fewer than {FEWEST_SEEDS} seeds hardly any difference can be told: give --seeds {FEWEST_SEEDS} or more."
    columns = [column for section in sections for row in section.rows for column in row.differences.values()]
    count = sum(column[i].low is not None for column in columns for i in looked_at(parts))
    if count:
        yield chance(count)
    for rule in found.planner.rules:
        for recipe in found.planner.able:
            for place, trial in found.planner.choosing(recipe, rule):
                if (found.folder.part(trial.name) or {}).get("diverged"):
                    yield (
                        f"{recipe.title} at {shown(place) or 'its own settings'} came to a loss that is not finite "
                        f"(equal {rule}): it was not chosen."
                    )
