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
from evenscore.errors import RunError


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
        names = ("start", "round", "next", "made", "copies", "mislabelled")
        return cls(signature, **{name: [0] * classes for name in names})  # type: ignore[arg-type]

    @classmethod
    def read(cls, path: Path, signature: dict[str, Any]) -> State:
        """The state of an interrupted job.

        Raises:
            RunError: it was another job, or the file cannot be understood.
        """
        try:
            state = cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            raise RunError(
                f"{path} cannot be understood: remove the folder {path.parent.parent} and start again"
            ) from None
        for key, value in signature.items():
            if state.signature.get(key) != value:
                raise RunError(
                    f"{path.parent.parent} holds a balanced set that was made with {key}={state.signature.get(key)}, now "
                    f"{key}={value} was asked: give the same command to go on, or choose another --out"
                )
        return state

    def write(self, path: Path) -> None:
        """Keep the state, atomically."""
        write_atomic(path, json.dumps(asdict(self)).encode())
