"""Records that a report is made from: plain numbers, words and 8-bit pictures, nothing computed by the report itself.

Law: for each class ``size = kept + made`` and ``short = max(0, wanted - size)``; both rejections are parts of the
candidates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evenscore.errors import DataError

Images = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class ClassReport:
    """What happened to one class.

    Attributes:
        name: the class, as the data set spells it.
        group: ``head``, ``medium`` or ``tail``, by the number of real labels.
        real: real samples in the source.
        kept: real samples in the output.
        made: synthetic samples in the output.
        wanted: samples that the plan asks for, real and synthetic together.
        candidates: synthetic samples that were drawn.
        copies: candidates rejected as near-copies of a training image.
        mislabelled: candidates rejected because the classifier confidently gave them to another class.
        real_images: some real images, uint8 (n,H,W,C) with C = 1 or 3, or None when there is nothing to show.
        synthetic_images: some synthetic images of the output, uint8 (n,H,W,C), or None.
        nearest_images: the training image nearest to each of ``synthetic_images``, in the same order, or None.
        agreement: share of synthetic samples to which the judge gives this class, in [0, 1], or None where not measured.
        agreement_interval: its lower and upper end, or None.
        note: one more sentence about this class, or an empty text.

    Raises:
        DataError: pictures that are not uint8 (n,H,W,C), or not one nearest image for each synthetic one.
    """

    name: str
    group: str
    real: int
    kept: int
    made: int
    wanted: int
    candidates: int
    copies: int
    mislabelled: int
    real_images: Images | None = None
    synthetic_images: Images | None = None
    nearest_images: Images | None = None
    agreement: float | None = None
    agreement_interval: tuple[float, float] | None = None
    note: str = ""

    def __post_init__(self) -> None:
        for kind in ("real", "synthetic", "nearest"):
            check_images(self.name, kind, getattr(self, f"{kind}_images"))
        if count(self.nearest_images) not in (0, count(self.synthetic_images)):
            raise DataError(
                f"class {self.name!r} has {count(self.nearest_images)} nearest images for "
                f"{count(self.synthetic_images)} synthetic ones: give one for each, in the same order, or none"
            )

    @property
    def size(self) -> int:
        """Samples in the output, real and synthetic."""
        return self.kept + self.made

    @property
    def short(self) -> int:
        """Samples missing from the plan."""
        return max(0, self.wanted - self.size)

    @property
    def rejected(self) -> int:
        """Candidates that the filter refused."""
        return self.copies + self.mislabelled

    @property
    def has_images(self) -> bool:
        return count(self.real_images) + count(self.synthetic_images) > 0


@dataclass(frozen=True, eq=False)
class BalanceReport:
    """What happened to a data set.

    Attributes:
        title: heading of the page and the card.
        source: the data set that was balanced, in words or as a path.
        created: when, in words.
        command: the command line that made it.
        classes: one record per class, in the order of their labels.
        notes: whole sentences about the data set, such as unreadable files that were left out.
        settings: how it was made, name -> value (objective, network, steps, solver, nfe, guidance, seed, ...).
        protocol: who measured the agreement, and on how many samples; empty where nothing was measured.
        loss_curve: group -> (step, loss) pairs in the order of the steps.
        game_curves: quantity of the classes' game -> (step, value) pairs; empty where no game was trained.
    """

    title: str
    source: str
    created: str
    command: str
    classes: tuple[ClassReport, ...]
    notes: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    protocol: str = ""
    loss_curve: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    game_curves: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)

    @property
    def noun(self) -> str:
        """What a sample is called: ``image`` where any class shows one, else ``sample``."""
        return "image" if any(each.has_images for each in self.classes) else "sample"

    def total(self, field_name: str) -> int:
        """Sum over the classes of one number, such as ``made`` or ``short``."""
        return sum(int(getattr(each, field_name)) for each in self.classes)


def count(images: Images | None) -> int:
    """How many pictures: 0 for None."""
    return 0 if images is None else len(images)


def check_images(name: str, kind: str, images: Images | None) -> None:
    """Refuse pictures that are not uint8 (n,H,W,C) with C = 1 or 3; none at all is fine.

    Raises:
        DataError: what was given for the ``kind`` images of class ``name``.
    """
    if images is None or len(images) == 0:
        return
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise DataError(
            f"the {kind} images of class {name!r} are {images.dtype} of shape {tuple(images.shape)}: "
            "give uint8 of shape (n, height, width, channels) with 1 or 3 channels"
        )
