"""Features by name, and which real samples may be compared with under them.

    domain                 a small network fitted on the reference's own training data
    pixels                 the values themselves
    inception:PATH         the published Inception-V3, with which a Frechet distance is called FID
    PATH.safetensors       a judge
    module:Class           any torch module

Law: a name is understood in one way only; what is not understood is an error that says what there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evenscore.data import Dataset
from evenscore.errors import DataError, unknown
from evenscore.features.base import BATCH, Features, Seen, digest, join
from evenscore.features.cache import Cache
from evenscore.features.domain import fitted, halves
from evenscore.features.foreign import Foreign
from evenscore.features.inception import Inception
from evenscore.features.judge import Judge
from evenscore.features.pixels import Pixels
from evenscore.records import check_name

FEATURES: Mapping[str, str] = {
    "domain": "a small network fitted on the reference's own training data by cross-fitting (the default)",
    "pixels": "the values themselves",
    "inception:PATH": "the published Inception-V3 weights (pt_inception-2015-12-05); only then a distance is called FID",
    "PATH.safetensors": "a judge: a small classifier fitted on balanced real data",
    "module:Class": "any torch module that Python can import, made without arguments and called on samples",
}
PARTS = ("train", "test")
PART = 4096
"""Real samples that are held as floating point at once."""


@dataclass(frozen=True, eq=False)
class View:
    """A feature map, and the real samples that it may be compared on.

    Attributes:
        features: the map.
        rows: rows of the reference part, ascending: those that the map was not fitted on.
    """

    features: Features
    rows: NDArray[np.int64]


def reference_part(data: Dataset, part: str) -> Dataset:
    """The part of real data to compare with: ``train`` or ``test``.

    Raises:
        UsageError: another word.
        DataError: there is no held-out part, or a class of it is empty.
    """
    check_name("reference part", part, PARTS)
    chosen = data if part == "train" else data.test
    if chosen is None:
        raise DataError(
            f"reference {data.name} has no held-out part: give --reference-part train, or data with a test part"
        )
    counts = np.bincount(chosen.labels, minlength=chosen.num_classes)
    if not counts.all():
        name = chosen.class_names[int(counts.argmin())]
        raise DataError(
            f"reference {data.name} has no samples of class {name!r} in its {part} part: "
            "give real samples of every class, or the other --reference-part"
        )
    return chosen


def views(name: str, data: Dataset, part: str, seed: int, cache: Cache, steps: int | None = None) -> tuple[View, ...]:
    """The feature maps of a name, each with the rows of the reference part that it may be compared on.

    Args:
        name: see the module.
        data: real data, with its held-out part.
        part: ``train`` or ``test``.
        seed: of what is fitted.
        cache: where fitted networks are kept.
        steps: of the fit of ``domain``; its default when None.

    Returns:
        One view; two for ``domain`` on training data.

    Raises:
        UsageError: an unknown name.
        DataError: a file that cannot be used, or data that the map cannot see.
    """
    real = reference_part(data, part)
    everything = np.arange(len(real), dtype=np.int64)
    if name == "domain":
        if part == "test":
            return (View(fitted(data, None, seed, cache, steps), everything),)
        one, other = halves(data.labels, seed)
        if len(np.unique(data.labels[other])) < data.num_classes:
            raise DataError(
                f"reference {data.name} has a class of one sample, which cannot be fitted on and compared with at once: "
                "give --reference-part test, other --features, or more samples"
            )
        return tuple(View(fitted(data, rows, seed, cache, steps), held) for rows, held in ((one, other), (other, one)))
    features = named(name)
    features.check(data.shape, data.num_classes)
    return (View(features, everything),)


def named(name: str) -> Features:
    """A feature map that needs no fitting.

    Raises:
        UsageError: an unknown name.
        DataError: a file that cannot be used.
    """
    if name == "pixels":
        return Pixels()
    kind, colon, rest = name.partition(":")
    if kind == "inception" and colon:
        return Inception(Path(rest))
    if name.endswith(".safetensors"):
        return Judge(Path(name))
    if colon and kind and rest.isidentifier():
        return Foreign(name)
    raise unknown("features", name, FEATURES)


def reference_seen(view: View, real: Dataset, cache: Cache) -> Seen:
    """What the map of a view says of its real samples, from the cache where they were seen before.

    Args:
        view: map and rows.
        real: the reference part that the rows belong to.
        cache: where features are kept; pixels are not.
    """

    def look() -> dict[str, Tensor]:
        step = max(BATCH, PART // max(1, int(np.prod(real.shape)) // 4096))
        parts = [view.features(real.tensor(view.rows[i : i + step])) for i in range(0, len(view.rows), step)]
        seen = join(parts)
        found = {"features": seen.features}
        return found if seen.probabilities is None else {**found, "probabilities": seen.probabilities}

    if view.features.key == "pixels":
        return Seen(look()["features"], None)
    key = digest("seen", view.features.key, real.fingerprint, torch.from_numpy(view.rows))
    found = cache.get(f"seen-{key}", look)
    return Seen(found["features"], found.get("probabilities"))
