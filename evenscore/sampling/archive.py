"""Samples as one ``.npz`` archive, gathered in a file without a name until the last has come.

Law: memory does not grow with the number of samples, the archive is complete or it is not there, and its bytes depend on what
it holds and not on the time.
"""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evenscore.checkpoint import PARTIAL, make_folder, new_file, unwritable

PIECE = 2**22
"""Bytes that are moved at once."""


class Spool:
    """Rows of one array on their way into an archive.

    Args:
        shape: of a row.
        dtype: of its entries.
    """

    def __init__(self, shape: Sequence[int], dtype: Any) -> None:
        self.shape, self.dtype, self.rows = tuple(shape), np.dtype(dtype), 0
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, content: bytes) -> None:
        """Take in the bytes of some rows.

        Raises:
            DataError: the disk is full.
        """
        try:
            self._file.write(content)
        except OSError as error:
            raise unwritable(Path(tempfile.gettempdir()), error) from error
        self.rows += len(content) // (self.dtype.itemsize * int(np.prod(self.shape)))

    def save(self, path: Path, name: str, others: dict[str, NDArray[Any]]) -> None:
        """Write the archive: the rows under ``name``, and other arrays.

        Raises:
            DataError: it cannot be written.
        """
        make_folder(path.parent)
        partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
        try:
            with new_file(partial) as file:
                with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                    self._copy(archive, name)
                    for key, array in others.items():
                        buffer = io.BytesIO()
                        np.lib.format.write_array(buffer, array, allow_pickle=False)
                        archive.writestr(_member(key), buffer.getvalue())
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise unwritable(path, error) from error

    def _copy(self, archive: zipfile.ZipFile, name: str) -> None:
        described = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.rows, *self.shape)}
        self._file.seek(0)
        with archive.open(_member(name), "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, described)
            while piece := self._file.read(PIECE):
                member.write(piece)


def _member(name: str) -> zipfile.ZipInfo:
    """A compressed member of a fixed date."""
    info = zipfile.ZipInfo(f"{name}.npy")
    info.compress_type = zipfile.ZIP_DEFLATED
    return info
