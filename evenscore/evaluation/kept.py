"""Generated images that are kept on disk while they are judged, so that a page can show those that turn out to matter.

Law: memory does not grow with the number of samples; what was kept is gone when the file is closed, however that happens.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import TracebackType

import numpy as np
import torch
from numpy.typing import NDArray

from evenscore.data import Dataset, from_uint8, to_uint8
from evenscore.evaluation.generated import Generated, Part
from evenscore.metrics.memorisation import reduced
from evenscore.metrics.neighbours import CANDIDATES, CHUNK, Nearest, measure, squared_distances


class Kept:
    """8-bit copies of generated images in a temporary file without a name.

    Args:
        first: images of each class whose numbers are remembered.
    """

    def __init__(self, first: int) -> None:
        self.most = first
        self.first: dict[str, list[int]] = {}
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._rows: dict[int, int] = {}
        self._shape: tuple[int, ...] = ()

    def __enter__(self) -> Kept:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def watching(self, generated: Generated) -> Generated:
        """The same samples, kept as they go by; vectors go by unkept."""
        if len(generated.shape) != 3:
            return generated

        def parts() -> Iterator[Part]:
            self._file.seek(0)
            self._rows.clear()
            self.first.clear()
            for part in generated.parts():
                self._keep(part, generated.class_names)
                yield part

        return replace(generated, parts=parts)

    def _keep(self, part: Part, names: Sequence[str]) -> None:
        images = to_uint8(part.x)
        self._shape = images.shape[1:]
        self._file.write(images.tobytes())
        for number, label in zip(part.numbers, part.labels.tolist(), strict=True):
            self._rows[number] = len(self._rows)
            shown = self.first.setdefault(names[label], [])
            if len(shown) < self.most:
                shown.append(number)

    def images(self, numbers: Sequence[int]) -> NDArray[np.uint8]:
        """The images with these numbers, uint8 (n,H,W,C).

        Raises:
            KeyError: a number that did not go by.
        """
        size = int(np.prod(self._shape))
        found = []
        for number in numbers:
            self._file.seek(self._rows[number] * size)
            found.append(np.frombuffer(self._file.read(size), np.uint8))
        return np.stack(found).reshape(len(numbers), *self._shape) if found else np.zeros((0, *self._shape), np.uint8)


def nearest_rows(images: NDArray[np.uint8], data: Dataset) -> NDArray[np.int64]:
    """For each image uint8 (n,H,W,C) the row of the nearest sample of ``data`` by root mean square difference, (n,)."""
    mine = reduced(from_uint8(images)).flatten(1)
    best = Nearest(torch.zeros(len(mine), dtype=torch.int64), torch.full((len(mine),), float("inf")))
    for start in range(0, len(data), CHUNK):
        rows = range(start, min(start + CHUNK, len(data)))
        theirs = reduced(data.tensor(rows)).flatten(1)
        near = squared_distances(mine, theirs).topk(min(CANDIDATES, len(theirs)), largest=False).indices
        found = measure(mine, theirs, near)
        nearer = found.distance < best.distance
        best = Nearest(
            torch.where(nearer, found.place + start, best.place), torch.where(nearer, found.distance, best.distance)
        )
    return best.place.numpy()
