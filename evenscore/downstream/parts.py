"""Finished parts of a comparison: one row on one seed each, kept in memory or as files.

Law: a part is written once, complete; a folder holds parts of one job only, so the same command goes on where it stopped and
gives the table of an uninterrupted one. More seeds, ratios and methods of the same job may be added.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from evenscore import records
from evenscore.checkpoint import make_folder, write_atomic
from evenscore.confined import inside
from evenscore.errors import RunError, UsageError
from evenscore.lock import hold
from evenscore.reading import STATE, parse_json, read_text
from evenscore.writing import check_output

FORMAT = 1
JOB, FOLDER, LOCK = "job.json", "parts", "lock"


@dataclass(frozen=True)
class Part:
    """One row on one seed.

    Attributes:
        row: name of the row.
        seed: of its training.
        right: test samples of each class that were given their class.
        synthetic: synthetic samples of each class that it was trained on; zeros for rows without.
        loss: mean training loss of the last tenth of the updates; None where it is not known.
        seconds: that it took.
    """

    row: str
    seed: int
    right: tuple[int, ...]
    synthetic: tuple[int, ...]
    loss: float | None
    seconds: float


@dataclass(frozen=True)
class Parts:
    """Where parts are kept.

    Attributes:
        out: folder, or None for memory.
        job: what the parts depend on, in terms of JSON.
    """

    out: Path | None
    job: Mapping[str, Any]
    memory: dict[tuple[str, int], Part] = field(default_factory=dict)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Take hold of the folder; a new one is made.

        Raises:
            RunError: it holds another job, or is in use.
            DataError: it holds something else, cannot be written, or its folder of parts is a link that leads out of it.
        """
        if self.out is None:
            yield
            return
        path = self.out / JOB
        inside(self.out, FOLDER)
        if not path.is_file():
            check_output(self.out)
            make_folder(self.out)
            write_atomic(path, json.dumps({"format": FORMAT, **self.job}, indent=1).encode())
        make_folder(self.out / FOLDER)
        with hold(self.out / FOLDER, LOCK):
            self._check(path)
            yield

    def _check(self, path: Path) -> None:
        try:
            kept = parse_json(read_text(path, STATE))
            kept.pop("format")
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            raise RunError(f"{path} cannot be understood: remove {self.out} and give the command again") from None
        mine = json.loads(json.dumps(self.job))
        changed = [key for key in mine if kept.get(key) != mine[key]]
        if changed:
            raise RunError(
                f"{self.out} holds a comparison of another job ({changed[0]}={kept.get(changed[0])} then, {mine[changed[0]]} "
                "now): give the same command to go on, or choose another --out"
            )

    def read(self, row: str, seed: int) -> Part | None:
        """The part of a row and seed, or None when it is not there or damaged."""
        if self.out is None:
            return self.memory.get((row, seed))
        try:
            return records.read(Part, parse_json(read_text(self._path(row, seed), STATE)))
        except (OSError, ValueError, AttributeError, UsageError):
            return None

    def keep(self, part: Part) -> None:
        """Keep a finished part.

        Raises:
            DataError: the disk is full.
        """
        self.memory[part.row, part.seed] = part
        if self.out is not None:
            write_atomic(self._path(part.row, part.seed), json.dumps(asdict(part)).encode())

    def _path(self, row: str, seed: int) -> Path:
        assert self.out is not None
        return self.out / FOLDER / f"{row.replace(' ', '-')}-seed-{seed}.json"
