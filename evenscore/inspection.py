"""What a person asks of a data set first: which classes, how many of each, what is wrong, and what to do.

Law: two samples are duplicates if and only if all their values are equal. A class is ``too small`` to learn from below
5 samples, ``borderline`` below 20, otherwise ``enough``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shlex
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from evenscore.data import Dataset
from evenscore.data.pixels import many

TOO_SMALL, BORDERLINE = 5, 20
EVEN = 1.5
LISTED = 20


@dataclass(frozen=True)
class ClassInfo:
    """One class: its size, its group (head, medium, tail), and whether it is large enough to learn from."""

    name: str
    count: int
    held_out: int
    group: str
    learnable: str


@dataclass(frozen=True)
class Duplicates:
    """Samples with equal values: their files (or indices) and the classes they stand in."""

    members: tuple[str, ...]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Inspection:
    """The answer of :func:`inspect`."""

    name: str
    kind: str
    shape: tuple[int, ...]
    total: int
    held_out: int
    imbalance: float
    classes: tuple[ClassInfo, ...]
    duplicates_within: tuple[Duplicates, ...]
    duplicates_across: tuple[Duplicates, ...]
    duplicates_held_out: int
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    advice: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; at most 20 groups of duplicates of each kind are listed, all are counted."""
        plain = dataclasses.asdict(self)
        for kind in ("within", "across"):
            groups = plain.pop(f"duplicates_{kind}")
            extra = sum(len(g["members"]) - 1 for g in groups)
            plain[f"duplicates_{kind}"] = {"groups": len(groups), "extra_samples": extra, "listed": groups[:LISTED]}
        plain["skipped"] = [{"path": path, "reason": reason} for path, reason in self.skipped]
        return plain


def inspect(dataset: Dataset) -> Inspection:
    """Look at a data set.

    Args:
        dataset: as read by :func:`evenscore.data.load`.

    Returns:
        Classes with counts, duplicates within and across classes, skipped files, notes, and advice.
    """
    found = _digests(dataset)
    groups = [_group(dataset, index) for index in found.values() if len(index) > 1]
    test = dataset.test
    skipped = dataset.skipped + (() if test is None else test.skipped)
    seen = Inspection(
        name=dataset.name,
        kind=dataset.kind,
        shape=dataset.shape,
        total=len(dataset),
        held_out=0 if test is None else len(test),
        imbalance=dataset.distribution.imbalance,
        classes=_classes(dataset),
        duplicates_within=tuple(g for g in groups if len(g.classes) == 1),
        duplicates_across=tuple(g for g in groups if len(g.classes) > 1),
        duplicates_held_out=0 if test is None else sum(len(i) for d, i in _digests(test).items() if d in found),
        skipped=tuple((str(path), reason) for path, reason in skipped),
        notes=dataset.notes + (() if test is None else tuple(f"held out: {note}" for note in test.notes)),
    )
    return dataclasses.replace(seen, advice=_advice(seen))


def _digests(dataset: Dataset) -> dict[bytes, list[int]]:
    """Indices of the samples by a digest of their values."""
    rows = np.ascontiguousarray(dataset.values).reshape(len(dataset), -1)
    found: dict[bytes, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        found[hashlib.blake2b(row.tobytes(), digest_size=16).digest()].append(i)
    return found


def _group(dataset: Dataset, index: list[int]) -> Duplicates:
    files = dataset.files
    members = tuple(str(i if files is None else files[i]) for i in index)
    classes = sorted({int(dataset.labels[i]) for i in index})
    return Duplicates(members, tuple(dataset.class_names[k] for k in classes))


def _classes(dataset: Dataset) -> tuple[ClassInfo, ...]:
    counts, groups = dataset.distribution.counts, dataset.distribution.groups()
    held_out = (0,) * len(counts) if dataset.test is None else dataset.test.distribution.counts
    rows = zip(dataset.class_names, counts, held_out, groups, strict=True)
    return tuple(ClassInfo(name, n, h, group, _learnable(n)) for name, n, h, group in rows)


def _learnable(count: int) -> str:
    return "too small" if count < TOO_SMALL else "borderline" if count < BORDERLINE else "enough"


def _advice(seen: Inspection) -> tuple[str, ...]:
    advice = []
    if seen.duplicates_across:
        first = seen.duplicates_across[0]
        advice.append(
            f"under several labels: {many(len(seen.duplicates_across), 'sample')} "
            f"(first: {first.members[0]} and {first.members[1]}, in {' and '.join(first.classes)}): "
            "keep each under one label"
        )
    if seen.duplicates_within:
        extra = sum(len(g.members) - 1 for g in seen.duplicates_within)
        advice.append(
            f"repeated inside a class: {many(extra, 'sample')}: remove them, they make a class look larger than it is"
        )
    if seen.duplicates_held_out:
        advice.append(
            f"held out and also in the training part: {many(seen.duplicates_held_out, 'sample')}: "
            "remove them, they flatter every measurement"
        )
    if seen.skipped:
        advice.append(
            f"left out: {many(len(seen.skipped), 'file')} "
            f"(first: {seen.skipped[0][0]}, {seen.skipped[0][1]}): repair or remove them"
        )
    return (*advice, *_class_advice(seen))


def _class_advice(seen: Inspection) -> tuple[str, ...]:
    advice = []
    small = [c.name for c in seen.classes if c.learnable == "too small"]
    weak = [c.name for c in seen.classes if c.learnable == "borderline"]
    if small:
        advice.append(
            f"{_names(small)}: fewer than {TOO_SMALL} samples, too few to learn from; "
            "collect more or leave the class out"
        )
    if weak:
        advice.append(
            f"{_names(weak)}: {TOO_SMALL} to {BORDERLINE - 1} samples, borderline; check what is made for them by eye"
        )
    if seen.imbalance >= EVEN and seen.kind == "image":
        advice.append(
            f"largest class over smallest: {seen.imbalance:.4g}; "
            f"to fill up: evenscore balance {shlex.quote(seen.name)} --out DIR"
        )
    elif seen.imbalance >= EVEN:
        advice.append(
            f"largest class over smallest: {seen.imbalance:.4g}; "
            f"to learn from it: evenscore train {shlex.quote(seen.name)} --out RUN"
        )
    else:
        advice.append("the classes are about equally large: nothing to balance")
    return tuple(advice)


def _names(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"class{'' if len(names) == 1 else 'es'} {', '.join(names[:5])}{more}"
