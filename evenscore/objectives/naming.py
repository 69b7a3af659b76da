"""Objectives by name, and as mappings of plain values: how a configuration writes one down and reads it back.

    {"name": "cbdm", "tau": 0.5}                                              one objective
    {"name": "cbdm+coral", "cbdm": {"tau": 0.5}, "coral": {"width": 64}}      several as one

A setting may also stand beside the others of a configuration: as ``tau``, where only one part has it, or as ``cbdm.tau``. What
all parts share (:data:`SHARED`) is set for all.

Law: ``read_objective(write_objective(objective)) == objective``; a misspelt or ambiguous key is an error that says what could
be meant.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from typing import Any

from evenscore import records
from evenscore.errors import UsageError, shown, unknown
from evenscore.objectives import OBJECTIVES, Composed, Layered, Objective

SHARED = ("weighting",)
"""Settings that parts of one objective have in common."""
Kinds = dict[str, type[Objective]]
Settings = dict[str, dict[str, Any]]


def objective_name(objective: Objective) -> str:
    """The registered name of an objective, ``module:Class`` of one from elsewhere, names with ``+`` of several as one."""
    if isinstance(objective, Composed):
        return "+".join(objective.named)
    kind = type(objective)
    names = [name for name, registered in OBJECTIVES.items() if registered is kind]
    return names[0] if names else f"{kind.__module__}:{kind.__qualname__}"


def is_registered(name: str) -> bool:
    """Whether all names in ``a+b`` are registered."""
    return all(part.strip() in OBJECTIVES for part in name.split("+"))


def compose(*objectives: Layered) -> Composed:
    """Several objectives as one.

    Raises:
        UsageError: fewer than two, or some that contradict each other.
    """
    return Composed(tuple((objective_name(objective), objective) for objective in objectives))


def write_objective(objective: Objective) -> dict[str, Any]:
    """Plain values, with the ``name``."""
    if isinstance(objective, Composed):
        return {"name": objective_name(objective)} | {k: records.write(part) for k, part in objective.parts}
    return {"name": objective_name(objective), **records.write(objective)}


def read_objective(given: Any, beside: Mapping[str, Any] | None = None, taken: Collection[str] = ()) -> Objective:
    """An objective from its name, or from a mapping with its ``name``.

    Args:
        given: the name or the mapping.
        beside: further settings, which stood beside it.
        taken: other keys that could have been meant, for the sentence on a misspelt one.

    Raises:
        UsageError: an unknown or ambiguous name, key or value.
    """
    chosen = _mapping(given)
    kinds = _kinds(str(chosen.pop("name", "denoising")))
    found: Settings = {part: {} for part in kinds}
    for part in kinds:
        inside = chosen.pop(part, {}) if len(kinds) > 1 else {}
        if not isinstance(inside, Mapping):
            raise UsageError(f"{part}={shown(inside)} cannot be used: give a mapping of the settings of {part}")
        found[part] |= _settled({f"{part}.{key}": value for key, value in inside.items()}, kinds, taken)[part]
    for further in (chosen, beside or {}):
        for part, settings in _settled(further, kinds, taken).items():
            found[part] |= settings
    made = {part: records.read(kind, found[part]) for part, kind in kinds.items()}
    if len(made) == 1:
        return next(iter(made.values()))
    return Composed(tuple(made.items()))  # type: ignore[arg-type]  # parts without layers are refused there


def _mapping(given: Any) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return dict(given)
    if not isinstance(given, str):
        raise UsageError(f"objective={shown(given)} cannot be used: give a name, or a mapping with the key name")
    return {"name": given}


def _kinds(name: str) -> Kinds:
    """The classes of the names in ``a+b``, by name.

    Raises:
        UsageError: an unknown name, or one that stands twice.
    """
    names = [part.strip() for part in name.split("+")]
    twice = next((part for part in names if names.count(part) > 1), None)
    if twice is not None:
        raise UsageError(f"objective {shown(name)} names {twice!r} twice: give each objective once")
    return {part: _kind(part) for part in names}


def _kind(name: str) -> type[Objective]:
    """The class of a registered name, or of ``module:Class`` when that module is imported (none is imported here)."""
    module, colon, path = name.partition(":")
    found = getattr(sys.modules.get(module), path, None) if colon else OBJECTIVES.get(name)
    if isinstance(found, type) and issubclass(found, Objective):
        return found
    if colon:
        raise UsageError(f"objective {name!r} is not known here: import {module} first, or use a registered objective")
    raise unknown("objective", name, OBJECTIVES)


def _settled(given: Mapping[str, Any], kinds: Kinds, taken: Collection[str]) -> Settings:
    """Settings of each part from keys as they are given.

    Raises:
        UsageError: a key that is nobody's, that is more than one part's, or that means what another one means.
    """
    found: Settings = {part: {} for part in kinds}
    for key, value in given.items():
        mine = _meant(kinds, str(key))
        if not mine:
            raise unknown("key", str(key), [*taken, *_keys(kinds, qualified="." in str(key))])
        ways = " or ".join(f"{part}.{field}" for part, field in mine)
        if len(mine) > 1 and key not in SHARED:
            raise UsageError(f"key {key!r} is a setting of {' and '.join(part for part, _ in mine)}: write {ways}")
        for part, field in mine:
            if field in found[part]:
                raise UsageError(f"key {key!r} is given twice: give {ways} once")
            found[part][field] = value
    return found


def _keys(kinds: Kinds, qualified: bool) -> list[str]:
    return [f"{part}.{f}" if qualified else f for part, kind in kinds.items() for f in records.fields_of(kind)]


def _meant(kinds: Kinds, key: str) -> list[tuple[str, str]]:
    """Part and field that a key can mean: ``field``, or ``part.field``."""
    part, dot, field = key.rpartition(".")
    named = [name for name in kinds if not dot or name.replace("-", "_") == part.replace("-", "_")]
    return [(name, field) for name in named if field in records.fields_of(kinds[name])]
