"""How far a job has come that writes samples into a folder, so that the same job can go on there and no other can.

Law: the state is written after the files that it speaks of. So what it counts is complete, and what lies beyond is done again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenscore.checkpoint import make_folder, write_atomic
from evenscore.errors import RunError
from evenscore.reading import STATE, parse_json, read_text
from evenscore.writing import check_output


@dataclass(frozen=True)
class Progress:
    """The state of a job in a folder.

    Attributes:
        out: the folder.
        state: name of the file that keeps it.
        job: what the samples depend on, in terms of JSON.
    """

    out: Path
    state: str
    job: Mapping[str, Any]

    def begin(self) -> None:
        """Make the folder of a new job; that of one which has begun is left as it is.

        Raises:
            DataError: the folder holds something else, or cannot be written.
        """
        if not (self.out / self.state).is_file():
            check_output(self.out)
            make_folder(self.out)
            self.keep(0, 0)

    def reached(self, total: int) -> tuple[int, int]:
        """Samples done and metadata bytes of the job that the folder holds.

        Args:
            total: samples of the whole job.

        Raises:
            RunError: it is another job, or its state cannot be understood.
        """
        path = self.out / self.state
        unclear = RunError(f"{path} cannot be understood: remove {self.out} and give the command again")
        try:
            state = parse_json(read_text(path, STATE))
            job, done, size = state["job"], state["done"], state["size"]
        except (OSError, ValueError, KeyError, TypeError):
            raise unclear from None
        if job != json.loads(json.dumps(self.job)):
            raise RunError(
                f"{self.out} holds samples of another job: give the same command to go on, or choose another --out"
            )
        if not (type(done) is type(size) is int and 0 <= done <= total and size >= 0):
            raise unclear
        return done, size

    def keep(self, done: int, size: int) -> None:
        """State that ``done`` samples and ``size`` bytes of metadata are complete.

        Raises:
            DataError: the disk is full.
        """
        content = {"job": self.job, "done": done, "size": size}
        write_atomic(self.out / self.state, json.dumps(content).encode())
