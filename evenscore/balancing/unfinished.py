"""What the unfinished balancing of a table keeps beside its output: the networks that were trained so far.

Law: the same command on the same table finds them again; another command has a place of its own, so nothing has to be removed
before a setting is changed. All are gone once the table is written.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import evenscore
from evenscore.confined import inside
from evenscore.errors import DataError
from evenscore.features.base import digest


@dataclass(frozen=True)
class Unfinished:
    """The hidden folder of a table that is not written yet.

    Attributes:
        out: the table to write.
        job: plain values on which the networks depend, the table's content among them.
    """

    out: Path
    job: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """Beside the table."""
        return self.out.with_name(f".{self.out.name}.evenscore")

    def run(self, seed: int) -> Path:
        """The run folder of the fit with this seed; nothing is made.

        Raises:
            DataError: a link there leads elsewhere.
        """
        told = json.dumps([evenscore.__version__, self.job], sort_keys=True, default=str)
        place = Path(digest(told)[:16], f"run-{seed}")
        inside(self.out.parent, self.folder.name)
        inside(self.folder, str(place))
        return self.folder / place

    def clear(self) -> None:
        """Remove it, of other commands too.

        Raises:
            DataError: it cannot be removed.
        """
        inside(self.out.parent, self.folder.name)
        try:
            shutil.rmtree(self.folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise DataError(f"{self.folder} cannot be removed ({error.strerror}): remove it") from error
