"""Errors that a person can act on: what was given, what was expected, what to do, in one sentence.

Every error that evenscore raises on purpose derives from :class:`EvenscoreError` and carries the exit code that the
command line returns for it. Anything else that escapes is a defect of ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class EvenscoreError(Exception):
    """A failure while running (exit code 1)."""

    exit_code: ClassVar[int] = 1


class Diverged(EvenscoreError):
    """Training came to a loss or a gradient that is not finite (exit code 1)."""


class UsageError(EvenscoreError):
    """The request itself is wrong: an unknown name, key or value (exit code 2)."""

    exit_code: ClassVar[int] = 2


class DataError(EvenscoreError):
    """The data, a file or the environment is not as needed (exit code 3)."""

    exit_code: ClassVar[int] = 3


class CheckpointError(DataError):
    """A checkpoint is missing, damaged, or belongs to something else (exit code 3)."""


class RunError(DataError):
    """A run folder cannot be used: in use by another process, or made from other data or settings (exit code 3)."""


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that ``word`` most resembles, or None when nothing is close."""
    found = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return found[0] if found else None


def unknown(kind: str, word: str, choices: Iterable[str]) -> UsageError:
    """The error for a misspelt ``kind`` (an objective, a key, ...): names the nearest choice, or lists all of them."""
    names = sorted(choices)
    guess = nearest(word, names)
    hint = f"did you mean {guess!r}?" if guess else f"choose one of: {', '.join(names)}"
    return UsageError(f"unknown {kind} {word!r}: {hint}")
