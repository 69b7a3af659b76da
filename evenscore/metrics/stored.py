"""Features of very many samples, kept in a file instead of in memory, and the Frechet distance of a part of them.

Law: what stays in memory of a sample is its label, its place in an order and a few numbers, whatever its features. The order of
rows is one of their values (a digest of their bytes), so no figure depends on the order in which samples came. The estimates
are those of :mod:`evenscore.metrics.frechet` up to rounding, from the same draws.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from evenscore.errors import DataError
from evenscore.metrics.frechet import Divided, FeatureStatistics, estimates_of, influence
from evenscore.metrics.interval import Estimate, Resampling

ROWS = 4096
"""Rows that are in memory at once."""


class Stored:
    """A matrix of float32 rows in a file without a name; it is gone with the object.

    Args:
        columns: D.
    """

    def __init__(self, columns: int) -> None:
        self.columns, self.count = columns, 0
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the object
        self._keys: list[bytes] = []

    def __len__(self) -> int:
        return self.count

    def add(self, rows: Tensor) -> None:
        """Append rows (n, D).

        Raises:
            DataError: entries that are not finite, or the disk is full.
        """
        if not bool(rows.isfinite().all()):
            raise DataError("features have entries that are not finite: give finite numbers only")
        values = np.ascontiguousarray(rows.numpy() + np.float32(0))  # adding 0 makes -0 and 0 the same bytes
        try:
            self._file.write(values.tobytes())
        except OSError as error:
            where = Path(tempfile.gettempdir())
            raise DataError(f"features cannot be kept in {where} ({error.strerror}): free some space there") from error
        self._keys.append(b"".join(hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in values))
        self.count += len(values)

    def order(self) -> Tensor:
        """Indices (N,), int64, that sort the rows by the digests of their values."""
        keys = np.frombuffer(b"".join(self._keys), dtype=np.uint64)
        return torch.from_numpy(np.argsort(keys, kind="stable"))

    def chunks(self) -> Iterator[tuple[slice, Tensor]]:
        """All rows as they came, some at a time, float64."""
        for start in range(0, self.count, ROWS):
            stop = min(start + ROWS, self.count)
            self._file.seek(start * self.columns * 4)
            content = self._file.read((stop - start) * self.columns * 4)
            values = np.frombuffer(content, dtype=np.float32).reshape(-1, self.columns)
            yield slice(start, stop), torch.from_numpy(values.astype(np.float64))

    def take(self, index: Tensor) -> Tensor:
        """The rows ``index`` (n,), float64, in that order."""
        found = torch.empty(len(index), self.columns, dtype=torch.float64)
        for i, row in enumerate(index.tolist()):
            self._file.seek(row * self.columns * 4)
            found[i] = torch.from_numpy(np.frombuffer(self._file.read(self.columns * 4), dtype=np.float32).copy())
        return found


def frechet_of_stored(rows: Stored, index: Tensor, reference: Tensor, resampling: Resampling) -> dict[str, Estimate]:
    """``frechet`` and ``frechet-limit`` of the rows ``index`` (n,) of a stored matrix against a reference (M, D)."""
    place = torch.full((len(rows),), -1, dtype=torch.int64)
    place[index] = torch.arange(len(index))

    def mine() -> Iterator[tuple[Tensor, Tensor]]:
        for where, values in rows.chunks():
            number = place[where]
            kept = number >= 0
            if bool(kept.any()):
                yield number[kept], values[kept]

    first, second = FeatureStatistics.of_batches(x for _, x in mine()), FeatureStatistics.of(reference)

    def influences() -> Tensor:
        phi = torch.empty(len(index), dtype=torch.float64)
        for number, x in mine():
            phi[number] = influence(x, first, second, centred=False)
        return phi - phi.mean()

    def divided(part: Tensor, phi: Tensor) -> Divided:
        found: list[FeatureStatistics | None] = [None] * 6
        for number, x in mine():
            for i in range(6):
                kept = part[number] == i
                if bool(kept.any()):
                    here, before = FeatureStatistics.of(x[kept]), found[i]
                    found[i] = here if before is None else before.merge(here)
        sums = torch.zeros(6, dtype=torch.float64).index_add_(0, part, phi).tolist()
        return [(each, total) for each, total in zip(found, sums, strict=True) if each is not None]

    return estimates_of(first, second, len(index), influences, divided, reference, resampling)
