"""Records of a quality page: figures by class with intervals, for one set of samples or for several methods side by side.

Law: every method has, for each measure, one value for each part, in the order of the parts; a method is named once in a
section. A difference is the method's value minus the baseline's, paired by seed. What was not measured is a value of None
with the reason, never a zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from evenscore.errors import DataError
from evenscore.report.records import Images, check_images, count


@dataclass(frozen=True)
class Value:
    """A figure with its 95 % interval; None with the reason in ``note`` where it is not given.

    Of the worst class ``note`` says which one it is, such as ``class 9``.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Measure:
    """What is measured.

    Attributes:
        key: name in the command line, such as ``kernel``.
        shown: name for readers, with the features it was computed in, such as ``KD-domain``.
        better: ``lower`` or ``higher``.
        meaning: what it says, in a few words.
    """

    key: str
    shown: str
    better: Literal["lower", "higher"]
    meaning: str


@dataclass(frozen=True)
class Part:
    """What a figure is about.

    Attributes:
        kind: ``all`` samples, a ``group`` of classes, the ``worst`` class, or one ``class``.
        name: ``all``, ``head``, ``worst class``, or the name of the class.
        group: of a class, by its training samples; empty otherwise.
        trained_on: training samples of a class; None otherwise.
    """

    kind: Literal["all", "group", "worst", "class"]
    name: str
    group: str = ""
    trained_on: int | None = None


@dataclass(frozen=True, eq=False)
class ClassPictures:
    """Some images of a class, uint8 (n,H,W,C) with C = 1 or 3: generated, and the nearest training image to each of them."""

    name: str
    synthetic: Images | None = None
    nearest: Images | None = None

    def __post_init__(self) -> None:
        check_images(self.name, "synthetic", self.synthetic)
        check_images(self.name, "nearest", self.nearest)
        if count(self.nearest) not in (0, count(self.synthetic)):
            raise DataError(
                f"class {self.name!r} has {count(self.nearest)} nearest images for {count(self.synthetic)} synthetic ones: "
                "give one for each, in the same order, or none"
            )


@dataclass(frozen=True, eq=False)
class CopyPair:
    """A generated image beside the training image that it may be a copy of.

    Attributes:
        name: class that the image was made for.
        images: uint8 (2,H,W,C), the generated one first.
        ratio: distance in units of the training image's distance to its own fellows; small is suspicious.
        is_copy: whether it counts as a copy.
    """

    name: str
    images: Images
    ratio: float
    is_copy: bool

    def __post_init__(self) -> None:
        check_images(self.name, "paired", self.images)


@dataclass(frozen=True, eq=False)
class MethodReport:
    """One method (or the only set of samples) of a section.

    Attributes:
        name: for readers, such as ``cbdm`` or ``plain``.
        figures: measure key -> one value for each part.
        differences: measure key -> paired difference from the baseline for each part; empty for the baseline itself.
        facts: name -> words that stand in the table of methods: seeds, steps, seconds, cost of a step, ...
        settings: everything else that was chosen, name -> words.
        pictures: one record for each class that has any, in the order of the classes.
        curves: title of a chart -> name of a line -> (step, value) pairs: losses by group, Nash gaps, ...
        failures: a sentence for each of its runs that failed.
        copies: the most suspicious pairs, the smallest ratio first.
    """

    name: str
    figures: Mapping[str, Sequence[Value]]
    differences: Mapping[str, Sequence[Value]] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    pictures: tuple[ClassPictures, ...] = ()
    curves: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    copies: tuple[CopyPair, ...] = ()


@dataclass(frozen=True, eq=False)
class Section:
    """Methods that are compared under one rule, such as equal compute; a page of one run has one section.

    Attributes:
        title: such as ``Equal compute``.
        words: what the rule is and what was found, sentences.
        methods: the baseline first.
    """

    title: str
    words: tuple[str, ...]
    methods: tuple[MethodReport, ...]


@dataclass(frozen=True, eq=False)
class QualityReport:
    """Everything that a quality page shows.

    Attributes:
        title: heading of the page.
        source: the training data, in words or as a path.
        created: when, in words.
        command: the command line that made it.
        summary: what was found, sentences; where something did not help, they say so.
        measures: the headline measure first.
        parts: all, the worst class, groups, then the classes in the order of their labels.
        sections: one or several.
        real: class name -> some of its real images, uint8 (n,H,W,C).
        baseline: name of the method that the others are compared with; empty where there is one method.
        protocol: name -> words: features, reference, numbers of samples, sampler, guidance, seeds, intervals.
        notes: whole sentences.
        thresholds: (head, tail): a head class has more than ``head`` training samples, a tail class fewer than ``tail``.

    Raises:
        DataError: a method without a value for each part, or two methods of one name in a section.
    """

    title: str
    source: str
    created: str
    command: str
    summary: tuple[str, ...]
    measures: tuple[Measure, ...]
    parts: tuple[Part, ...]
    sections: tuple[Section, ...]
    real: Mapping[str, Images] = field(default_factory=dict)
    baseline: str = ""
    protocol: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    thresholds: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for section in self.sections:
            names = [method.name for method in section.methods]
            if len(set(names)) < len(names):
                raise DataError(f"the methods {', '.join(names)} of {section.title!r} share a name: name each once")
            for method in section.methods:
                for figures in (method.figures, method.differences):
                    for key, values in figures.items():
                        if len(values) != len(self.parts):
                            raise DataError(
                                f"{method.name!r} has {len(values)} values of {key} for {len(self.parts)} parts: "
                                "give one for each"
                            )
