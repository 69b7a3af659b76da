"""``evenscore compare``: ways to train against a baseline, at equal compute and equal updates, with paired intervals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenscore.commands.inspect import read
from evenscore.commands.terminal import STOPPED, Bar, duration, emit, say, show_table, stopping, tell
from evenscore.comparison import ComparisonConfig, compare, read_budget
from evenscore.comparison.estimate import Estimate, estimate
from evenscore.comparison.grid import read_grid, read_guidances
from evenscore.comparison.markdown import difference
from evenscore.configuration import parse_settings
from evenscore.data import Dataset
from evenscore.evaluation import Settings
from evenscore.report.quality import Value
from evenscore.sampling import Sampler

SHOWN_MEASURES = ("kernel", "energy", "agreement")
"""Measures of the table in the terminal; the first of all where none of them was measured."""


@dataclass(frozen=True)
class CompareRequest:
    """What was asked on the command line.

    Attributes:
        recipes: as texts.
        settings: ``key=value`` texts for all methods.
        grid: ``key=a,b`` texts.
        budget: as a text.
        guidance_grid: as a text, or None.
        sampler: of all samples.
        evaluation: features and measures.
        named: the rest of :class:`ComparisonConfig`, by name.
    """

    recipes: list[str]
    settings: list[str]
    grid: list[str]
    budget: str
    guidance_grid: str | None
    sampler: Sampler
    evaluation: Settings
    named: Mapping[str, Any]

    def config(self) -> ComparisonConfig:
        """The configuration.

        Raises:
            UsageError: an unknown name or a value that cannot be used.
        """
        return ComparisonConfig(
            budget=read_budget(self.budget),
            common=parse_settings(self.settings),
            grid=read_grid(self.grid),
            guidance_grid=() if self.guidance_grid is None else read_guidances(self.guidance_grid),
            sampler=self.sampler,
            evaluation=self.evaluation,
            **self.named,
        )


def run(request: CompareRequest, spec: str, out: Path, strict: bool, dry_run: bool, as_json: bool) -> None:
    """Compare, or print what would be trained; exit code 1 where runs failed."""
    config = request.config()
    data = read(spec, strict)
    for note in data.notes:
        say(f"note: {note}")
    if dry_run:
        show_plan(estimate(data, request.recipes, out, config), as_json)
        return
    last = work(data, request.recipes, out, config)
    if last == "stopped":
        say(f"stopped; what is finished is kept in {out}; the same command goes on from here")
        raise SystemExit(STOPPED)
    found = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    if as_json:
        emit(found)
    else:
        show(found, out)
    if found["failures"]:
        for failure in found["failures"]:
            say(f"failed: {failure}")
        say("the same command tries what failed again")
        raise SystemExit(1)


def work(data: Dataset, recipes: Sequence[str], out: Path, config: ComparisonConfig) -> str:
    """Compare with progress; the name of the last stage."""
    with stopping() as stop, Bar() as bar:
        for stage in compare(data, recipes, out, config, stop):
            if stage.name in ("choose", "compare"):
                bar.update(stage.name, stage.fraction, stage.text, stage.remaining)
            else:
                say(f"{stage.name}: {stage.text}")
    return stage.name


def show_plan(found: Estimate, as_json: bool) -> None:
    """Every run with its steps and time."""
    if as_json:
        emit(found.to_mapping())
        return
    rows = [(run.words, f"{run.steps}", duration(run.seconds), "there" if run.finished else "") for run in found.runs]
    show_table("", ("run", "steps", "about", ""), rows)
    for title, cost in found.costs.items():
        tell(f"a step of {title} costs {cost:.2f} of one of the baseline")
    for failure in found.failures:
        tell(failure)
    tell(f"about {duration(found.seconds)} in all, sampling and measuring included roughly")


def show(found: Mapping[str, Any], out: Path) -> None:
    """A table for each rule, and what it says in words."""
    for section in found["sections"]:
        for measure in _headline(found["measures"]):
            parts = [(i, part) for i, part in enumerate(found["parts"]) if part["kind"] != "class"]
            rows = [_row(method, measure["key"], [i for i, _ in parts]) for method in section["methods"]]
            columns = ("method", "steps", *(part["name"] for _, part in parts))
            show_table(f"equal {section['equal']}: {measure['shown']} ({measure['better']} is better)", columns, rows)
        for words in section["words"]:
            tell(words)
        tell()
    for note in found["notes"]:
        tell(f"note: {note}")
    tell(f"all figures: {out / 'comparison.md'}, {out / 'comparison.json'}")
    if (out / "index.html").is_file():
        tell(f"page: {out / 'index.html'}")


def _headline(measures: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [measure for measure in measures if measure["key"] in SHOWN_MEASURES] or list(measures[:1])


def _row(method: Mapping[str, Any], key: str, places: Sequence[int]) -> tuple[str, ...]:
    cells = (_cell(method["figures"].get(key), method["differences"].get(key), i) for i in places)
    return (method["method"], f"{method['steps'] or '-'}", *cells)


def _cell(figures: Sequence[Mapping[str, Any]] | None, differences: Sequence[Mapping[str, Any]] | None, i: int) -> str:
    """The mean, and below it the paired difference with its interval."""
    if figures is None or figures[i]["value"] is None:
        return "-"
    mean = f"{figures[i]['value']:.3g}"
    if differences is None or differences[i]["value"] is None:
        return mean
    return f"{mean}\n{difference(Value(**differences[i]))}"
