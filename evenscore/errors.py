"""Errors that a person can act on: what was given, what was expected, what to do, in one sentence.

Every error that evenscore raises on purpose derives from :class:`EvenscoreError` and carries the exit code that the
command line returns for it. Anything else that escapes is a defect of ours.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable
from typing import Any, ClassVar


class EvenscoreError(Exception):
    """A failure while running (exit code 1)."""

    exit_code: ClassVar[int] = 1


class Diverged(EvenscoreError):
    """Training came to a loss, gradient or criterion from which it cannot go on (exit code 1).

    Args:
        what: a few words, such as "the loss became nan".
        step: the step at which it was seen.
        tried: what was tried against it, in words.
        where: the run that holds the last checkpoint, in words.
    """

    def __init__(self, what: str, step: int, tried: str = "", where: str = "") -> None:
        super().__init__(
            f"{what} at step {step}{tried}: the last checkpoint{where} is intact, start a new run with a smaller --set lr"
        )
        self.what, self.step = what, step


class NotFinite(EvenscoreError):
    """Samples came out as NaN or infinity, which no file can tell from good ones (exit code 1)."""


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


LONGEST_WORD = 200
"""Characters of a given word that a sentence repeats."""


class _Short(reprlib.Repr):
    """``repr`` of bounded length and depth, whatever the value: values may come from a file that means harm."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother, self.maxlong = 3, LONGEST_WORD, LONGEST_WORD, 60

    def repr_int(self, x: int, level: int) -> str:
        return f"a whole number of {x.bit_length()} bits" if x.bit_length() > 256 else super().repr_int(x, level)


_SHORT = _Short()


def shown(value: Any) -> str:
    """``value`` as a sentence shows it: its ``repr``, of bounded length."""
    return _SHORT.repr(value)


def printable(text: str) -> str:
    """``text`` with everything that could act on a terminal (control characters, marks that turn text round) escaped.

    Line ends stay; half characters, which no output can hold, are escaped too.
    """
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c == "\n" or c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that ``word`` most resembles, or None when nothing is close."""
    found = difflib.get_close_matches(word[:LONGEST_WORD], list(choices), n=1, cutoff=0.5)
    return found[0] if found else None


def unknown(kind: str, word: str, choices: Iterable[str]) -> UsageError:
    """The error for a misspelt ``kind`` (an objective, a key, ...): names the nearest choice, or lists all of them."""
    names = sorted(choices)
    guess = nearest(word, names)
    hint = f"did you mean {guess!r}?" if guess else f"choose one of: {', '.join(names)}"
    return UsageError(f"unknown {kind} {shown(word)}: {hint}")
