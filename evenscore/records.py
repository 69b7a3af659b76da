"""Strict records: frozen dataclasses read from mappings and written back, with nothing ignored and nothing guessed.

Law: ``read(cls, write(record)) == record``; a key that the record does not have is an error that names the nearest one;
a value of the wrong kind is an error that names the key, what was given and what was expected.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from evenscore.errors import LONGEST_WORD, UsageError, shown, unknown

T = TypeVar("T")
LARGEST = 2**63 - 1
"""Largest whole number of a record, and with a minus sign the smallest."""


def fields_of(cls: type) -> dict[str, Any]:
    """Field name -> type of a dataclass, in order."""
    hints = typing.get_type_hints(cls)
    return {f.name: hints[f.name] for f in dataclasses.fields(cls) if f.init}


def read(cls: type[T], given: Mapping[str, Any]) -> T:
    """A record of type ``cls`` from a mapping; fields that are not given keep their defaults.

    Raises:
        UsageError: an unknown key, a missing one, or a value of the wrong kind.
    """
    kinds = fields_of(cls)
    for key in given:
        if key not in kinds:
            raise unknown("key", str(key), kinds)
    missing = [f.name for f in dataclasses.fields(cls) if f.init and f.name not in given and not _has_default(f)]  # type: ignore[arg-type]
    if missing:
        raise UsageError(f"{missing[0]} is missing: give {', '.join(missing)}")
    return cls(**{key: convert(key, value, kinds[key]) for key, value in given.items()})


def write(record: Any) -> dict[str, Any]:
    """The record as a mapping of plain values, complete, defaults included."""
    return {key: _plain(getattr(record, key)) for key in fields_of(type(record))}


def check(key: str, value: Any, holds: bool, expected: str) -> None:
    """Refuse ``value`` for ``key`` unless ``holds``; ``expected`` says what it must be.

    Raises:
        UsageError: it does not hold.
    """
    if not holds:
        given = value if isinstance(value, str) and len(value) <= LONGEST_WORD else shown(value)
        raise UsageError(f"{key}={given} cannot be used: {key} must be {expected}")


def check_name(kind: str, name: str, choices: Iterable[str]) -> None:
    """Refuse a name that is not among ``choices``.

    Raises:
        UsageError: names the nearest choice.
    """
    if name not in choices:
        raise unknown(kind, name, choices)


def _has_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return write(value)
    return list(value) if isinstance(value, tuple) else value


def convert(key: str, value: Any, kind: Any) -> Any:
    """``value`` as ``kind`` (int, float, str, bool, a tuple of one of them, or one of them or None); text is parsed.

    Raises:
        UsageError: it is not of that kind.
    """
    options = typing.get_args(kind)
    if type(None) in options:
        if value is None or value == "none":
            return None
        return convert(key, value, next(o for o in options if o is not type(None)))
    if typing.get_origin(kind) is tuple:
        return _tuple(key, value, options[0])
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return read(kind, value) if isinstance(value, Mapping) else _scalar(key, value, kind)
    return _scalar(key, value, kind)


def _tuple(key: str, value: Any, kind: Any) -> tuple[Any, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        raise _wrong(key, value, "a list")
    return tuple(convert(key, part, kind) for part in parts)


def _scalar(key: str, value: Any, kind: Any) -> Any:
    try:
        if kind is bool:
            return _bool(value)
        if kind is int and not isinstance(value, bool):
            return _int(value)
        if kind is float and not isinstance(value, bool):
            return _finite(value)
    except (TypeError, ValueError, OverflowError):
        raise _wrong(key, value, {bool: "true or false", int: "a whole number", float: "a number"}[kind]) from None
    if kind is str and isinstance(value, str):
        return value
    if isinstance(kind, type) and isinstance(value, kind) and not isinstance(value, bool):
        return value
    raise _wrong(key, value, {int: "a whole number", float: "a number", str: "a word"}.get(kind, "something else"))


def _bool(value: Any) -> bool:
    named = {"true": True, "on": True, "false": False, "off": False, True: True, False: False}
    if value not in named:
        raise ValueError
    return named[value]


def _int(value: Any) -> int:
    if not isinstance(value, int):
        number = float(value)
        if number != int(number):
            raise ValueError
        value = int(value) if isinstance(value, str) and value.lstrip("+-").isdecimal() else int(number)
    if abs(value) > LARGEST:
        raise ValueError
    return int(value)


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _wrong(key: str, value: Any, expected: str) -> UsageError:
    return UsageError(f"{key}={shown(value)} cannot be used: {key} takes {expected}")
