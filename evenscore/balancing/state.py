"""How far a balanced folder has come: written after each batch, so that an interrupted job goes on where it was.

Law: candidate j of class k is the same sample whenever it is drawn (its noise depends on the seed, j and k only), and a
round that was interrupted goes on with the batch that was next, so a job that was interrupted writes the same bytes as one
that was not.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from evenscore.checkpoint import write_atomic
from evenscore.errors import LONGEST_WORD, RunError, shown
from evenscore.reading import STATE, parse_json, read_text

LISTS = ("start", "round", "next", "made", "copies", "mislabelled")
"""Fields with a number for each class."""


@dataclass
class State:
    """Counts for each class.

    Attributes:
        signature: what the folder is made from; another job must not go on with it.
        size: bytes of metadata that belong to finished batches.
        real: real samples have been written.
        start: number of the first candidate in the present round.
        round: candidates in the present round.
        offset: candidates of the round that are judged, over all classes.
        next: number of the next candidate.
        made: accepted samples.
        copies: refused near-copies.
        mislabelled: refused as of another class.
        done: the plan is met or given up, and the page is written.
    """

    signature: dict[str, Any]
    size: int = 0
    real: bool = False
    start: list[int] = field(default_factory=list)
    round: list[int] = field(default_factory=list)
    offset: int = 0
    next: list[int] = field(default_factory=list)
    made: list[int] = field(default_factory=list)
    copies: list[int] = field(default_factory=list)
    mislabelled: list[int] = field(default_factory=list)
    done: bool = False

    @classmethod
    def fresh(cls, signature: dict[str, Any], classes: int) -> State:
        """Nothing written yet."""
        return cls(signature, **{name: [0] * classes for name in LISTS})  # type: ignore[arg-type]

    @classmethod
    def read(cls, path: Path, signature: dict[str, Any]) -> State:
        """The state of an interrupted job.

        Raises:
            RunError: it was another job, or the file cannot be understood.
        """
        unclear = RunError(f"{path} cannot be understood: remove the folder {path.parent.parent} and start again")
        try:
            state = cls(**parse_json(read_text(path, STATE)))
        except (OSError, ValueError, TypeError):
            raise unclear from None
        if not isinstance(state.signature, dict):
            raise unclear
        for key, value in signature.items():
            if state.signature.get(key) != value:
                before = state.signature.get(key)
                raise RunError(
                    f"{path.parent.parent} holds a balanced set that was made with {key}={_word(before)}, now "
                    f"{key}={_word(value)} was asked: give the same command to go on, or choose another --out"
                )
        if not state.is_sound():
            raise unclear
        return state

    def is_sound(self) -> bool:
        """Whether the numbers can be those of a job with this signature."""
        wanted: list[int] = self.signature["wanted"]
        lists = [getattr(self, name) for name in LISTS]
        if not all(_are_counts(numbers, len(wanted)) for numbers in lists) or not _are_counts(
            [self.size, self.offset], 2
        ):
            return False
        rounds = zip(self.round, wanted, strict=True)
        return self.offset <= sum(self.round) and all(count <= most for count, most in rounds)

    def write(self, path: Path) -> None:
        """Keep the state, atomically."""
        write_atomic(path, json.dumps(asdict(self)).encode())


def _are_counts(numbers: Any, length: int) -> bool:
    """Whether it is a list of that many whole numbers, none negative."""
    return isinstance(numbers, list) and len(numbers) == length and all(type(n) is int and n >= 0 for n in numbers)


def _word(value: Any) -> str:
    """A value of a signature in few words."""
    return shown(value) if not isinstance(value, str) or len(value) > LONGEST_WORD else value
