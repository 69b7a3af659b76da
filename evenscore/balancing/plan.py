"""The plan: how many samples each class has, how many it is to have, and so how many are kept and made.

Law: after the plan is met, every class has exactly ``wanted`` samples: ``keep`` real ones and ``make`` synthetic ones.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evenscore.data import Dataset
from evenscore.errors import DataError, UsageError, shown, unknown
from evenscore.reading import parse_json, parse_yaml, read_text

Target = str | int | tuple[int, ...]
DIGITS = 20
"""Characters of a target that is a number."""


@dataclass(frozen=True)
class ClassPlan:
    """One class of a plan.

    Attributes:
        name: of the class.
        group: ``head``, ``medium`` or ``tail``.
        real: real samples there are.
        wanted: samples it is to have.
    """

    name: str
    group: str
    real: int
    wanted: int

    @property
    def keep(self) -> int:
        """Real samples that go into the balanced set; fewer than there are when the target is below."""
        return min(self.real, self.wanted)

    @property
    def make(self) -> int:
        """Synthetic samples that are to be made."""
        return self.wanted - self.keep


def make_plan(data: Dataset, target: Target) -> tuple[ClassPlan, ...]:
    """The plan for a data set.

    Args:
        data: the unequal data.
        target: ``"uniform"`` (every class as large as the largest), one number for all, or one for each class.

    Raises:
        UsageError: a target that does not fit the classes.
    """
    labels = data.distribution
    wanted = labels.wanted(target)
    rows = zip(data.class_names, labels.groups(), labels.counts, wanted, strict=True)
    return tuple(ClassPlan(*row) for row in rows)


def read_target(text: str, class_names: tuple[str, ...]) -> Target:
    """A target from the command line: ``uniform``, a number, or a JSON or YAML file of ``class name: number``.

    Raises:
        UsageError: neither of these, or a class that does not exist or is missing.
        DataError: the file cannot be read.
    """
    if text == "uniform":
        return text
    if text.lstrip("+-").isdecimal() and len(text) < DIGITS:
        if int(text) < 1:
            raise UsageError(f"--target {text} cannot be used: give at least 1 sample for each class")
        return int(text)
    if not os.path.isfile(text):
        raise UsageError(
            f"--target {shown(text)} is neither uniform, nor a whole number, nor a file: give one of these"
        )
    return read_counts(Path(text), class_names)


def read_counts(path: Path, class_names: tuple[str, ...]) -> tuple[int, ...]:
    """Numbers in order of class from a JSON or YAML file of ``class name: number``.

    Raises:
        UsageError: a class that does not exist or is missing, or something that is not a whole number of at least 0.
        DataError: the file cannot be read.
    """
    return counts_by_name(_mapping(path), class_names)


def counts_by_name(given: Mapping[str, object], class_names: tuple[str, ...]) -> tuple[int, ...]:
    """Numbers in order of class from a mapping of class names to numbers.

    Raises:
        UsageError: a class that does not exist or is missing, or something that is not a whole number of at least 0.
    """
    for name in given:
        if name not in class_names:
            raise unknown("class", name, class_names)
    out = []
    for name in class_names:
        count = given.get(name)
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise UsageError(f"class {name!r} is given {shown(count)}: give every class a whole number of at least 0")
        out.append(count)
    return tuple(out)


def _mapping(path: Path) -> dict[str, object]:
    try:
        given = (parse_json if path.suffix == ".json" else parse_yaml)(read_text(path))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{path} cannot be read ({reason}): give JSON or YAML, class name: number") from None
    if not isinstance(given, dict):
        raise DataError(
            f"{path} does not map class names to numbers: write one `class name: number` line for each class"
        )
    return {str(name): count for name, count in given.items()}
