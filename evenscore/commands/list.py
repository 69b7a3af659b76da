"""``evenscore list``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from evenscore import records
from evenscore.commands.terminal import emit, show_table
from evenscore.data import AUGMENTATIONS, POLICIES, SOURCES
from evenscore.errors import unknown
from evenscore.guidance import GUIDANCE
from evenscore.networks.mlp import MLP_SIZES
from evenscore.networks.unet import UNET_SIZES
from evenscore.objectives import OBJECTIVES
from evenscore.objectives.levels import NOISE_LAWS
from evenscore.process import PROCESSES
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
    with_settings = any(settings for *_, settings in entries)
    columns = ("name", "what it is", "settings") if with_settings else ("name", "what it is")
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


def _names(names: Mapping[str, str] | tuple[str, ...]) -> Entries:
    return [(name, names[name] if isinstance(names, Mapping) else "", "") for name in names]


KINDS: Mapping[str, Callable[[], Entries]] = {
    "objectives": lambda: _classes(OBJECTIVES),
    "solvers": lambda: _classes(SOLVERS),
    "grids": lambda: _functions(GRIDS),
    "guidance": lambda: _classes(GUIDANCE),
    "networks": _networks,
    "processes": lambda: _classes(PROCESSES),
    "noise-laws": lambda: _functions(NOISE_LAWS),
    "policies": lambda: _names(POLICIES),
    "augmentations": lambda: _names(AUGMENTATIONS),
    "data": lambda: _names(SOURCES),
}
