"""A recipe: a way to train under a title, as everything that it sets and nothing that all methods share.

    FILE.yaml                  settings as `evenscore train --config` reads them, titled by the name of the file
    NAME[:key=value,...]       an objective with settings, or ``plain`` or ``resampled``, titled as written
    TITLE=...                  either of them under another title

Law: of two methods that are compared, network, batch, precision and averaging are equal, and the seed and the number of steps
are the comparison's; whatever else differs is what is compared, and is shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenscore.configuration import TrainConfig, read_config_file
from evenscore.errors import UsageError, unknown
from evenscore.objectives import OBJECTIVES
from evenscore.objectives.naming import is_registered

NAMED: Mapping[str, Mapping[str, Any]] = {
    "plain": {"objective": "denoising", "policy": "as-found"},
    "resampled": {"objective": "denoising", "policy": "uniform"},
}
"""Recipes by name beside the objectives."""
DECIDED = ("steps", "minutes", "seed", "previews", "checkpoint_every")
"""Settings that the comparison decides; a recipe that names them is read without them."""
SHARED = ("network", "batch_size", "accumulate", "precision", "memory_format", "compile", "ema")
"""Settings in which methods must not differ."""
LONGEST = 40
"""Letters of a title in the name of a file."""
FILES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Recipe:
    """A method.

    Attributes:
        title: by which tables call it.
        settings: of training, by name; without what the comparison decides.
    """

    title: str
    settings: Mapping[str, Any]

    def config(
        self, common: Mapping[str, Any], place: Mapping[str, Any] | None = None, steps: int = 1, seed: int = 0
    ) -> TrainConfig:
        """The run of this method.

        Args:
            common: settings of all methods, which go over its own.
            place: settings chosen on the grid, which go over both.
            steps: optimiser steps.
            seed: of the run.

        Raises:
            UsageError: an unknown key or value; the sentence names the recipe.
        """
        given = {**self.settings, **common, **(place or {}), "previews": 0, "steps": steps, "seed": seed}
        try:
            return TrainConfig.from_mapping(given)
        except UsageError as error:
            raise UsageError(f"recipe {self.title!r}: {error}") from None

    def record(self, common: Mapping[str, Any]) -> dict[str, Any]:
        """Everything that it trains with, in terms of JSON, without what the comparison decides."""
        return {key: value for key, value in self.config(common).to_mapping().items() if key not in DECIDED}


def read_recipe(text: str) -> Recipe:
    """A recipe as the command line gives it, see the module.

    Raises:
        UsageError: an unknown name, or settings that are not ``key=value``.
        DataError: a file that cannot be read.
    """
    title, equals, rest = text.partition("=")
    titled = bool(equals) and ":" not in title and not Path(text).is_file()
    written = (rest if titled else text).strip()
    title = title.strip() if titled else _title(written)
    if not title or not written:
        raise UsageError(
            f"recipe {text!r} has no {'title' if written else 'name'}: write for example strong=cbdm:tau=2"
        )
    settings = read_config_file(Path(written)) if written.endswith(FILES) else _by_name(written)
    return Recipe(title, {key: value for key, value in settings.items() if key not in DECIDED})


def _title(written: str) -> str:
    return Path(written).stem if written.endswith(FILES) else written


def _by_name(text: str) -> dict[str, Any]:
    """The settings of ``NAME[:key=value,...]``; the name may be a ``module:Class`` that is imported already."""
    name, _, options = text.rpartition(":")
    known = {*NAMED, *OBJECTIVES}
    if not (name in NAMED or is_registered(name)) and "=" not in options:
        name, options = text, ""
    if not (name in NAMED or is_registered(name)) and ":" not in name:
        raise unknown("recipe", name, known)
    settings: dict[str, Any] = dict(NAMED.get(name, {"objective": name}))
    given: dict[str, str] = {}
    for option in options.split(",") if options else ():
        key, equals, value = (part.strip() for part in option.partition("="))
        key = key.replace("-", "_")
        if not equals or not key or key in given:
            reason = "stands twice" if key in given else "is not key=value"
            raise UsageError(f"recipe {text!r}: {option!r} {reason}: write for example cbdm:tau=0.5,gamma=0.25")
        given[key] = value
    return settings | given


def with_baseline(given: Sequence[Recipe | str], baseline: str) -> tuple[tuple[Recipe, ...], str, bool]:
    """All methods, the baseline first; its title; and whether it was added.

    Args:
        given: recipes, or texts as :func:`read_recipe` takes them.
        baseline: title of one of them, or another recipe.

    Raises:
        UsageError: two with one title, or nothing to compare with the baseline.
    """
    recipes = [read_recipe(recipe) if isinstance(recipe, str) else recipe for recipe in given]
    titles = [recipe.title for recipe in recipes]
    twice = next((title for title in titles if titles.count(title) > 1), None)
    if twice is not None:
        raise UsageError(f"two recipes have the title {twice!r}: give one of them another, such as other={twice}")
    added = baseline not in titles
    first = read_recipe(baseline) if added else recipes[titles.index(baseline)]
    others = tuple(recipe for recipe in recipes if recipe.title != first.title)
    if not others:
        raise UsageError(f"only the baseline {first.title!r} was given: give at least one recipe to compare with it")
    return (first, *others), first.title, added


def check_shared(recipes: Sequence[Recipe], common: Mapping[str, Any]) -> None:
    """Refuse methods that differ in what must be equal.

    Raises:
        UsageError: they do; the sentence names every such setting.
    """
    configs = [recipe.config(common) for recipe in recipes]
    for recipe, config in zip(recipes[1:], configs[1:], strict=True):
        apart = [key for key in SHARED if getattr(config, key) != getattr(configs[0], key)]
        if apart:
            words = ", ".join(f"{key} {getattr(configs[0], key)} and {getattr(config, key)}" for key in apart)
            remedy = " ".join(f"--set {key}={getattr(config, key)}" for key in apart)
            raise UsageError(
                f"{recipes[0].title!r} and {recipe.title!r} differ in what all methods must share ({words}): give it for "
                f"all, such as {remedy}"
            )


def file_name(title: str) -> str:
    """A title as a part of a file name."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", title).strip("-.")[:LONGEST]


def apart(record: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, str]:
    """Settings of ``record`` that differ from those of ``other``, as words, those of the objective by their own names."""
    mine, theirs = _flat(record), _flat(other)
    return {key: f"{value}" for key, value in mine.items() if theirs.get(key) != value}


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    objective = {
        name: value
        for key, given in record.get("objective", {}).items()
        for name, value in (
            {f"{key}.{k}": v for k, v in given.items()} if isinstance(given, dict) else {key: given}
        ).items()
    }
    rest = {key: value for key, value in record.items() if key != "objective"}
    return {"objective": objective.pop("name", "denoising"), **objective, **rest}
