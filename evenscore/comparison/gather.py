"""Every finished part gathered into sections of rows, with differences and words.

Law: a result is computed from the files of the folder alone, so it is the same however often the work was interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean

from evenscore.comparison.judge import Judgement
from evenscore.comparison.plan import Trial, cost_name
from evenscore.comparison.protocol import notes, protocol
from evenscore.comparison.recipe import Recipe, apart
from evenscore.comparison.result import Comparison, Found, Row, Section
from evenscore.comparison.table import differences, means
from evenscore.comparison.words import section_words, verdict
from evenscore.report.quality import Measure, Part

RULE_WORDS = {
    "compute": "Each method gets as many optimiser steps as fit into the processor time of the baseline.",
    "updates": "Each method gets the same number of optimiser steps.",
}


def gather(found: Found) -> Comparison:
    """The comparison as the folder has it."""
    judged = {
        (recipe.title, rule): _judged(found, recipe, rule)
        for rule in found.planner.rules
        for recipe in found.planner.recipes
    }
    judgements = [judgement for runs in judged.values() for judgement in runs.values()]
    measures, parts = (judgements[0].measures, judgements[0].parts) if judgements else ((), ())
    sections = tuple(_section(found, rule, judged, measures, parts) for rule in found.planner.rules)
    failures = tuple(dict.fromkeys(f"{row.title}: {text}" for s in sections for row in s.rows for text in row.failures))
    return Comparison(
        data=found.data.name,
        baseline=found.planner.config.baseline,
        measures=measures,
        parts=parts,
        sections=sections,
        protocol=protocol(found),
        notes=tuple(notes(found, sections, parts)),
        failures=failures,
    )


def _judged(found: Found, recipe: Recipe, rule: str) -> dict[int, Judgement]:
    """Seed -> what was found of a method's run."""
    parts = {trial.config.seed: found.folder.part(trial.name) for trial in _trials(found, recipe, rule)}
    return {seed: Judgement.from_json(part) for seed, part in parts.items() if part is not None}


def _trials(found: Found, recipe: Recipe, rule: str) -> list[Trial]:
    choice = found.chosen.get((recipe.title, rule))
    return [] if choice is None else found.planner.judged(recipe, rule, choice)


def _section(
    found: Found,
    rule: str,
    judged: Mapping[tuple[str, str], Mapping[int, Judgement]],
    measures: Sequence[Measure],
    parts: Sequence[Part],
) -> Section:
    baseline = found.planner.config.baseline
    theirs = {seed: j.figures for seed, j in judged[baseline, rule].items()}
    rows = []
    for recipe in found.planner.recipes:
        ours = {seed: j.figures for seed, j in judged[recipe.title, rule].items()}
        against = {} if recipe.title == baseline else differences(ours, theirs)
        failures = tuple(_failures(found, recipe, rule))
        said = None if recipe.title == baseline else verdict(recipe.title, baseline, measures, parts, against, failures)
        trials = _trials(found, recipe, rule)
        rows.append(
            Row(
                title=recipe.title,
                steps=found.planner.measured.steps_of(recipe.title, rule),
                choice=found.chosen.get((recipe.title, rule)),
                by_seed=ours,
                figures=means(ours),
                differences=against,
                settings=_settings(found, recipe),
                failures=failures,
                verdict=said,
                first=trials[0] if trials else None,
                cost=found.planner.measured.costs.get(recipe.title),
                seconds=_seconds(found, trials),
            )
        )
    words = section_words(rule, baseline, [row.verdict for row in rows if row.verdict is not None])
    return Section(rule, (RULE_WORDS[rule], *words), tuple(rows))


def _settings(found: Found, recipe: Recipe) -> dict[str, str]:
    """What a method trains with that the baseline does not; of the baseline its objective and policy."""
    records = [r.record(found.planner.config.common) for r in (recipe, found.planner.recipes[0])]
    if recipe is found.planner.recipes[0]:
        return {key: value for key, value in apart(records[0], {}).items() if key in ("objective", "policy")}
    return apart(records[0], records[1])


def _seconds(found: Found, trials: Sequence[Trial]) -> float | None:
    parts = [part for trial in trials if (part := found.folder.part(trial.name)) is not None]
    return round(mean(part["seconds"] for part in parts), 3) if parts else None


def _failures(found: Found, recipe: Recipe, rule: str) -> Iterator[str]:
    """Why runs of a method are missing under a rule."""
    unmeasured = found.folder.failure(cost_name(recipe.title))
    if recipe.title not in found.planner.measured.costs:
        yield f"the cost of a step could not be measured: {unmeasured or 'it was stopped'}"
        return
    choosing = [trial for _, trial in found.planner.choosing(recipe, rule)]
    for trial in (*choosing, *_trials(found, recipe, rule)):
        text = found.folder.failure(trial.name)
        if text is not None:
            yield f"{'choosing' if trial.purpose == 'choose' else f'seed {trial.config.seed}'}: {text}"
    if (recipe.title, rule) not in found.chosen and not any(found.folder.failure(trial.name) for trial in choosing):
        yield "every place of the grid came to a loss that is not finite: give a smaller learning rate"
