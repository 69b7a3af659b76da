"""From a specification to a data set: ``NAME[:key=value,...]``.

NAME is a folder, an ``.npz`` file or a built-in name; a built-in name wins over a folder of the same name (write
``./digits`` for the folder). Law: ``parse_spec(str(spec)) == spec``, and a key or value that is not known is an error.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evenscore.data.archive import read_archive
from evenscore.data.builtin import BUILTIN
from evenscore.data.dataset import Dataset
from evenscore.data.folder import STRICTNESS, Size, read_folder
from evenscore.data.longtail import LongTail
from evenscore.data.pixels import as_pil, fit
from evenscore.errors import DataError, UsageError, nearest, unknown

SOURCES: Mapping[str, str] = {
    "digits": "handwritten digits of scikit-learn, 8x8 grey, 10 classes, with a held-out part (built in)",
    "FOLDER": "images as FOLDER/<class>/*, FOLDER/train/<class>/* (held out: test or val), or metadata.csv / .jsonl",
    "FILE.npz": "train_images (N,H,W,C uint8), train_labels; optional test_images, test_labels, class_names",
}
MAX_SIDE = 8192


@dataclass(frozen=True)
class Spec:
    """A parsed specification.

    Attributes:
        name: folder, ``.npz`` file or built-in name.
        factor, profile, seed, max, order: the long-tailed construction (see :mod:`evenscore.data.longtail`);
            none is made when neither ``factor`` nor ``max`` is given.
        size: (H, W) that images are brought to, or None.
    """

    name: str
    factor: float | None = None
    profile: str = "exp"
    seed: int = 0
    size: Size | None = None
    max: int | None = None
    order: str = "as-is"

    def __str__(self) -> str:
        values = {
            f.name: getattr(self, f.name) for f in dataclasses.fields(self)[1:] if getattr(self, f.name) != f.default
        }
        if self.size is not None:
            values["size"] = f"{self.size[0]}x{self.size[1]}"
        return self.name + (":" + ",".join(f"{key}={value}" for key, value in values.items()) if values else "")

    @property
    def long_tail(self) -> LongTail | None:
        """The long-tailed construction that is asked for, or None."""
        if self.factor is None and self.max is None:
            return None
        return LongTail(1.0 if self.factor is None else self.factor, self.profile, self.seed, self.max, self.order)


def parse_size(text: str) -> Size:
    """``"64"`` as (64, 64) and ``"48x64"`` as (48, 64), height first.

    Raises:
        UsageError: anything else.
    """
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(p.isascii() and p.isdigit() and 1 <= int(p[:6]) <= MAX_SIDE for p in parts):
        raise UsageError(
            f"size {text!r}: give one side such as 64, or height x width such as 48x64, at most {MAX_SIDE}"
        )
    return int(parts[0]), int(parts[-1])


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise ValueError
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


PARSERS: Mapping[str, tuple[Callable[[str], Any], str]] = {
    "factor": (_number, "a number of at least 1, such as factor=50"),
    "profile": (str, "exp or step"),
    "seed": (_whole, "a whole number of at least 0, such as seed=0"),
    "size": (parse_size, "a size such as size=64"),
    "max": (_whole, "a whole number of at least 1, such as max=500"),
    "order": (str, "as-is or reversed"),
}


def parse_spec(text: str) -> Spec:
    """Read ``NAME[:key=value,...]``.

    What follows the last colon is options, unless it contains a path separator.

    Raises:
        UsageError: no name, an unknown key (names the nearest), a key twice, or a bad value.
    """
    name, colon, tail = text.rpartition(":")
    if not colon or "/" in tail or "\\" in tail:
        name, tail, colon = text, "", ""
    if not name:
        raise UsageError(f"data {text!r} has no name: give a folder, an .npz file or one of: {', '.join(BUILTIN)}")
    values: dict[str, Any] = {}
    for option in tail.split(",") if colon else ():
        key, value = _option(option, text)
        if key in values:
            raise UsageError(f"data {text!r} gives {key!r} twice: give it once")
        values[key] = value
    spec = Spec(name, **values)
    if spec.long_tail is None and (lost := sorted(values.keys() & {"profile", "seed", "order"})):
        raise UsageError(
            f"data {text!r}: {lost[0]!r} acts only on a long-tailed subset: add factor=... or max=..., or remove it"
        )
    return spec


def _option(option: str, text: str) -> tuple[str, Any]:
    key, equals, value = (part.strip() for part in option.partition("="))
    if not equals or not key or not value:
        raise UsageError(f"data {text!r}: option {option!r} is not key=value: use keys among {', '.join(PARSERS)}")
    if key not in PARSERS:
        raise unknown("data key", key, PARSERS)
    parser, expected = PARSERS[key]
    try:
        return key, parser(value)
    except ValueError:
        raise UsageError(f"data {text!r}: {key}={value} is not {expected}") from None


def load(spec: str | Path, *, strict: str = "skip", size: Size | None = None) -> Dataset:
    """Read the data set that ``spec`` names.

    Args:
        spec: ``NAME[:key=value,...]`` with keys factor, profile, seed, size, max and order.
        strict: ``"skip"`` leaves unreadable images out and lists them in ``skipped``; ``"strict"`` refuses them.
        size: (H, W) that images are brought to; the same as the key ``size``, which wins.

    Raises:
        UsageError: an unknown name, key or value.
        DataError: the data cannot be used; the sentence says why and what to do.
    """
    if strict not in STRICTNESS:
        raise unknown("policy for unreadable files", strict, STRICTNESS)
    spec = str(spec)
    parsed = parse_spec(spec)
    try:
        data = _read(parsed, spec, strict, parsed.size or size)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"data {spec!r} cannot be read ({reason}): check the name and its permissions") from error
    construction = parsed.long_tail
    data = data if construction is None else construction(data)
    return dataclasses.replace(data, notes=(*data.notes, *_small_classes(data)))


def _read(parsed: Spec, spec: str, strict: str, size: Size | None) -> Dataset:
    path = Path(parsed.name)
    if parsed.name in BUILTIN:
        return resized(BUILTIN[parsed.name](spec), size)
    if path.is_dir():
        return read_folder(path, size=size, strict=strict, name=spec)
    if path.suffix.lower() == ".npz":
        return resized(read_archive(path, name=spec), size)
    if path.exists():
        raise DataError(
            f"{parsed.name!r} is neither a folder nor an .npz file: give a folder of images or an .npz archive"
        )
    if path.name == parsed.name and nearest(parsed.name, BUILTIN):
        raise unknown("data set", parsed.name, BUILTIN)
    raise DataError(
        f"data {parsed.name!r} do not exist: give a folder of images, an .npz file or one of: {', '.join(BUILTIN)}"
    )


def resized(data: Dataset, size: Size | None) -> Dataset:
    """All images, held-out ones too, brought to ``size`` = (H, W); unchanged when None.

    Raises:
        UsageError: the data are vectors.
    """
    if size is None or data.shape[1:] == size:
        return data
    if data.kind != "image":
        raise UsageError(f"{data.name}: size={size[0]}x{size[1]} is given, but the data are vectors: remove size")
    images = [np.asarray(fit(as_pil(image), size)) for image in data.values]
    values = np.stack(images).reshape(len(images), *size, data.shape[0])
    test = None if data.test is None else resized(data.test, size)
    notes = (*data.notes, f"{len(images)} images resized to {size[0]}x{size[1]}")
    return dataclasses.replace(data, values=values, notes=notes, test=test)


def _small_classes(data: Dataset) -> tuple[str, ...]:
    single = [name for name, n in zip(data.class_names, data.distribution.counts, strict=True) if n == 1]
    return (f"class {', '.join(repr(s) for s in single)} has 1 sample: too small to learn from",) if single else ()
