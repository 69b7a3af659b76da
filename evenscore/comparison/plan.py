"""The plan: which runs are trained, for how many steps, at which settings.

Law: a run is named by everything that it computes; so a run that two sections share (the baseline, always) is trained once.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from evenscore.comparison.cost import steps_for
from evenscore.comparison.grid import Place, places
from evenscore.comparison.recipe import Recipe, file_name
from evenscore.comparison.settings import CHOOSING_SEED, COMPUTE, RULES, ComparisonConfig
from evenscore.configuration import TrainConfig


@dataclass(frozen=True)
class Trial:
    """One run.

    Attributes:
        title: of its method.
        config: complete, without ``auto``.
        guidances: scales at which its samples are looked at; one for a run that is judged.
        purpose: whether its samples choose settings, or are judged.
    """

    title: str
    config: TrainConfig
    guidances: tuple[float, ...]
    purpose: Literal["choose", "judge"]

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        assert self.config.steps is not None
        return self.config.steps

    @property
    def name(self) -> str:
        """Of its files: readable, and different from that of every other run."""
        content = json.dumps([self.title, self.config.to_mapping(), list(self.guidances), self.purpose])
        digest = hashlib.sha256(content.encode()).hexdigest()[:10]
        return f"{file_name(self.title)}_{self.steps}-steps_seed-{self.config.seed}_{digest}"

    @property
    def words(self) -> str:
        """For people."""
        seed = "choosing" if self.purpose == "choose" else f"seed {self.config.seed}"
        return f"{self.title}, {self.steps} steps, {seed}"


@dataclass(frozen=True)
class Choice:
    """What a method chose: a place of the grid, a guidance scale, and the distance by which; None where none was measured."""

    place: Place
    guidance: float
    distance: float | None

    @property
    def settings(self) -> dict[str, Any]:
        """The place and the guidance, by name."""
        return {**self.place, "guidance": self.guidance}


Chosen = Mapping[tuple[str, str], Choice]
"""(title, rule) -> what the method chose under it."""


@dataclass(frozen=True)
class Measured:
    """What was measured once for the whole comparison.

    Attributes:
        network, precision, memory_format: of all methods, without ``auto``.
        seconds: of a step of the baseline.
        steps: of the baseline.
        costs: title -> a method's step as a multiple of the baseline's; those that could not be measured are absent.
    """

    network: str
    precision: str
    seconds: float
    steps: int
    costs: Mapping[str, float]
    memory_format: str = "channels_last"

    def steps_of(self, title: str, rule: str) -> int | None:
        """Steps of a method under ``compute`` or ``updates``; None where its cost is not known."""
        if title not in self.costs:
            return None
        return steps_for(self.steps, self.costs[title]) if rule == COMPUTE else self.steps

    def shared(self, common: Mapping[str, Any]) -> dict[str, Any]:
        """Settings of all methods, without ``auto``."""
        machine = {"precision": self.precision, "memory_format": self.memory_format}
        return {**common, "network": self.network, **machine}


@dataclass(frozen=True)
class Planner:
    """Makes the runs of a comparison.

    Attributes:
        recipes: all methods, the baseline first.
        config: of the comparison.
        measured: costs and steps.
    """

    recipes: Sequence[Recipe]
    config: ComparisonConfig
    measured: Measured

    @property
    def rules(self) -> tuple[str, ...]:
        """Sections: what is equal in each."""
        return RULES[self.config.equal]

    @property
    def able(self) -> list[Recipe]:
        """Methods whose cost is known."""
        return [recipe for recipe in self.recipes if recipe.title in self.measured.costs]

    def choosing(self, recipe: Recipe, rule: str) -> list[tuple[Place, Trial]]:
        """The runs among which a method chooses under a rule; none where there is nothing to choose."""
        if not self.config.chooses:
            return []
        guidances = self.config.guidances
        return [
            (place, self._trial(recipe, rule, place, CHOOSING_SEED, guidances, "choose"))
            for place in places(self.config.grid)
        ]

    def judged(self, recipe: Recipe, rule: str, choice: Choice) -> list[Trial]:
        """The runs of a method that are judged under a rule, one for each seed."""
        return [
            self._trial(recipe, rule, choice.place, seed, (choice.guidance,), "judge")
            for seed in range(self.config.seeds)
        ]

    def to_choose(self) -> list[Trial]:
        """All runs that choose, each once."""
        pairs = itertools.product(self.rules, self.able)
        return _distinct(trial for rule, recipe in pairs for _, trial in self.choosing(recipe, rule))

    def to_judge(self, chosen: Chosen) -> list[Trial]:
        """All runs that are judged, each once, seed by seed."""
        pairs = [(recipe, rule) for rule in self.rules for recipe in self.able if (recipe.title, rule) in chosen]
        trials = [trial for recipe, rule in pairs for trial in self.judged(recipe, rule, chosen[recipe.title, rule])]
        return _distinct(sorted(trials, key=lambda trial: trial.config.seed))

    def choices(self, part: Callable[[str], Mapping[str, Any] | None]) -> Chosen:
        """What each method chose under each rule; a method without a run to choose by is absent.

        Args:
            part: what the run of a name left, None where it did not finish.
        """
        found = {(recipe.title, rule): self.choose(recipe, rule, part) for rule in self.rules for recipe in self.able}
        return {key: choice for key, choice in found.items() if choice is not None}

    def choose(self, recipe: Recipe, rule: str, part: Callable[[str], Mapping[str, Any] | None]) -> Choice | None:
        """The place and guidance of least distance; None where no run of the grid has one.

        Args:
            recipe: the method.
            rule: of the section.
            part: what the run of a name left, None where it did not finish.
        """
        if not self.config.chooses:
            return Choice({}, self.config.guidances[0], None)
        best: Choice | None = None
        for place, trial in self.choosing(recipe, rule):
            distances = (part(trial.name) or {}).get("distances", {})
            for guidance in trial.guidances:
                distance = distances.get(f"{guidance:g}")
                if distance is not None and (best is None or best.distance is None or distance < best.distance):
                    best = Choice(place, guidance, distance)
        return best

    def _trial(
        self,
        recipe: Recipe,
        rule: str,
        place: Place,
        seed: int,
        guidances: tuple[float, ...],
        purpose: Literal["choose", "judge"],
    ) -> Trial:
        steps = self.measured.steps_of(recipe.title, rule)
        assert steps is not None, "only methods whose cost is known have runs"
        config = recipe.config(self.measured.shared(self.config.common), place, steps, seed)
        return Trial(recipe.title, config, guidances, purpose)


def _distinct(trials: Iterable[Trial]) -> list[Trial]:
    """Every run once, in order."""
    return list({trial.name: trial for trial in trials}.values())


def cost_name(title: str) -> str:
    """Of the file that says why the cost of a method could not be measured."""
    return f"cost_{file_name(title)}_{hashlib.sha256(title.encode()).hexdigest()[:10]}"
