"""``evenscore list``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from evenscore import records
from evenscore.commands.terminal import emit, show_table
from evenscore.configuration import TrainConfig
from evenscore.data import AUGMENTATIONS, POLICIES, SOURCES
from evenscore.distill import DistillConfig
from evenscore.downstream.methods import METHODS as DOWNSTREAM
from evenscore.downstream.settings import Settings as DownstreamSettings
from evenscore.errors import unknown
from evenscore.evaluation import ASKABLE
from evenscore.features import FEATURES
from evenscore.guidance import GUIDANCE
from evenscore.networks.mlp import MLP_SIZES
from evenscore.networks.unet import UNET_SIZES
from evenscore.objectives import OBJECTIVES
from evenscore.objectives.levels import NOISE_LAWS
from evenscore.process import PROCESSES
from evenscore.recipes import RECIPES, Recipe
from evenscore.restore import RESTORATIONS
from evenscore.sampling.methods import METHODS
from evenscore.solvers import GRIDS, SOLVERS

Entries = list[tuple[str, str, str]]


def run(kind: str, as_json: bool) -> None:
    """Print the names of a kind, what each is, and its settings."""
    if kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    entries = KINDS[kind]()
    if as_json:
        rows = [{"name": name, "about": about, "settings": settings} for name, about, settings in entries]
        emit({"kind": kind, "entries": rows})
        return
    column = "default" if kind == "settings" else "settings"
    with_settings = any(settings for *_, settings in entries)
    columns = ("name", "what it is", column) if with_settings else ("name", "what it is")
    show_table(kind, columns, [entry[: len(columns)] for entry in entries])


def first_sentence(thing: Any) -> str:
    """The first paragraph of a docstring on one line."""
    return " ".join((thing.__doc__ or "").strip().split("\n\n")[0].split())


def _classes(registry: Mapping[str, type]) -> Entries:
    return [(name, first_sentence(kind), _settings(kind)) for name, kind in registry.items()]


def _settings(kind: type) -> str:
    if not hasattr(kind, "__dataclass_fields__"):
        return ""
    fields = records.fields_of(kind)
    return ", ".join(f"{key}={getattr(kind, key, '')}" for key in fields)


def _functions(registry: Mapping[str, Any]) -> Entries:
    return [(name, first_sentence(function), "") for name, function in registry.items()]


def _networks() -> Entries:
    return [
        (name, f"UNet of {size.channels} channels for images; MLP of width {MLP_SIZES[name].width} for vectors", "")
        for name, size in UNET_SIZES.items()
    ]


def _settings_of(recipe: Recipe) -> str:
    """What makes a recipe its own, as `--set` would take it."""
    return ", ".join(
        f"{key}={value}" for key, value in {"objective": recipe.objective["name"], **recipe.changes}.items()
    )


def _described(names: Mapping[str, str]) -> Entries:
    return [(name, about, "") for name, about in names.items()]


def _attributes(kind: type) -> Entries:
    """The fields of a record with what its docstring says of them, and their defaults."""
    found = re.findall(r"^    (?:    )?(\w+): (.+?)$", (kind.__doc__ or "").partition("Attributes:")[2], re.MULTILINE)
    about = {key: text.replace("``", "") for key, text in found}
    return [(key, about.get(key, ""), str(getattr(kind, key, ""))) for key in records.fields_of(kind)]


KINDS: Mapping[str, Callable[[], Entries]] = {
    "objectives": lambda: _classes(OBJECTIVES),
    "solvers": lambda: _classes(SOLVERS),
    "grids": lambda: _functions(GRIDS),
    "guidance": lambda: _classes(GUIDANCE),
    "guidance-methods": lambda: _classes(METHODS),
    "restorations": lambda: _classes(RESTORATIONS),
    "networks": _networks,
    "processes": lambda: _classes(PROCESSES),
    "noise-laws": lambda: _functions(NOISE_LAWS),
    "policies": lambda: _described(POLICIES),
    "augmentations": lambda: _described(AUGMENTATIONS),
    "data": lambda: _described(SOURCES),
    "features": lambda: _described(FEATURES),
    "recipes": lambda: [(name, recipe.about, _settings_of(recipe)) for name, recipe in RECIPES.items()],
    "metrics": lambda: [(name, f"{m.words} ({m.direction} is better)", "") for name, m in ASKABLE.items()],
    "distill-settings": lambda: _attributes(DistillConfig),
    "downstream-methods": lambda: _described(DOWNSTREAM),
    "downstream-settings": lambda: _attributes(DownstreamSettings),
    "settings": lambda: _attributes(TrainConfig),
}
