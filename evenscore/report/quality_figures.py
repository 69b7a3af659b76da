"""Pictures of a quality page: for each class real images, and of each method synthetic ones above their nearest neighbours.

Law: the pictures together take at most ``BUDGET`` characters, whatever they hold: the number of images, then their size,
then the number of classes give way, and what gave way is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from evenscore.report.figures import Strip, make_strip
from evenscore.report.quality import ClassPictures, Part, QualityReport
from evenscore.report.records import Images, count
from evenscore.report.words import many, number

BUDGET = 3_600_000
CHOICES = (
    (20, 16, 64),
    (20, 12, 64),
    (20, 8, 64),
    (20, 8, 48),
    (20, 8, 32),
    (20, 4, 32),
    (10, 4, 32),
    (5, 4, 32),
    (5, 4, 16),
    (2, 4, 16),
)
"""Classes, images of each kind and pixels a side that are shown at most, the best first."""
MOST_PAIRS = 8
PAIR_SIDE = 64


@dataclass(frozen=True)
class Shelf:
    """Strips of one method for one class."""

    method: str
    strips: tuple[Strip, ...]


@dataclass(frozen=True)
class ClassGallery:
    """A class with its group and training samples in words, its real images, and the shelves of each section."""

    name: str
    words: str
    real: Strip | None
    rows: tuple[tuple[str, tuple[Shelf, ...]], ...]

    @property
    def single(self) -> tuple[Strip, ...]:
        """The strips of the only method; empty where there are several, or none."""
        shelves = [shelf for _, shelves in self.rows for shelf in shelves]
        return shelves[0].strips if len(shelves) == 1 else ()

    @property
    def size(self) -> int:
        """Characters that the pictures take."""
        strips = [strip for _, shelves in self.rows for shelf in shelves for strip in shelf.strips]
        return sum(len(strip.uri) for strip in [*strips, *([self.real] if self.real else [])])


@dataclass(frozen=True)
class Pairs:
    """The suspicious pairs of one method, each a picture with its words and whether it counts as a copy."""

    method: str
    items: tuple[tuple[Strip, bool], ...]


@dataclass(frozen=True)
class Pictures:
    """All pictures of a page, and sentences on what is not shown."""

    classes: tuple[ClassGallery, ...]
    notes: tuple[str, ...]


def pictures(report: QualityReport) -> Pictures:
    """Grids of the classes that have images, in the order of the parts; of too many those with the fewest samples."""
    sources = _sources(report)
    having = [part for part in report.parts if part.kind == "class" and _has(sources, report.real, part.name)]
    most, each, side = CHOICES[0]
    shown: tuple[ClassGallery, ...] = ()
    for most, each, side in CHOICES:
        kept = having if len(having) <= most else sorted(having, key=lambda part: part.trained_on or 0)[:most]
        shown = tuple(_gallery(report, sources, part, each, side) for part in kept)
        if sum(gallery.size for gallery in shown) <= BUDGET:
            break
    return Pictures(shown, tuple(_notes(report, sources, len(having), len(shown), each, side)))


def suspicious(report: QualityReport) -> tuple[Pairs, ...]:
    """For each method that has any, the pairs to look at first."""
    found = []
    for section, method in [(each, method) for each in report.sections for method in each.methods]:
        items = []
        for pair in method.copies[:MOST_PAIRS]:
            words = f"{pair.name}: ratio {pair.ratio:.2f}" + (", counts as a copy" if pair.is_copy else "")
            alt = f"A synthetic image of class {pair.name}, and at its right the training image that it resembles"
            items.append((make_strip(pair.images, PAIR_SIDE, alt, words, columns=2), pair.is_copy))
        if items:
            label = f"{method.name}, {section.title}" if len(report.sections) > 1 else method.name
            found.append(Pairs(label, tuple(items)))
    return tuple(found)


Sources = Sequence[tuple[str, str, dict[str, ClassPictures]]]
"""Section and name of each method, and its pictures by class."""


def _sources(report: QualityReport) -> Sources:
    return [
        (s.title, method.name, {p.name: p for p in method.pictures}) for s in report.sections for method in s.methods
    ]


def _has(sources: Sources, real: Mapping[str, Images], name: str) -> bool:
    return count(real.get(name)) > 0 or any(name in by and count(by[name].synthetic) for _, _, by in sources)


def _gallery(report: QualityReport, sources: Sources, part: Part, most: int, side: int) -> ClassGallery:
    name, real = part.name, report.real.get(part.name)
    shown = None
    if real is not None and len(real):
        n = min(most, len(real))
        shown = make_strip(real[:n], side, f"{many(n, 'real image')} of class {name}", "Some real images")
    rows: dict[str, list[Shelf]] = {}
    for section, method, by_class in sources:
        strips = _strips(method, by_class[name], most, side) if name in by_class else ()
        if strips:
            rows.setdefault(section, []).append(Shelf(method, strips))
    trained = "" if part.trained_on is None else many(part.trained_on, "training image")
    words = ", ".join(word for word in (part.group, trained) if word)
    return ClassGallery(name, words, shown, tuple((section, tuple(shelves)) for section, shelves in rows.items()))


def _strips(method: str, mine: ClassPictures, most: int, side: int) -> tuple[Strip, ...]:
    if mine.synthetic is None or not len(mine.synthetic):
        return ()
    n = min(most, len(mine.synthetic))
    alt = f"{many(n, 'synthetic image')} of class {mine.name} by {method}"
    strips = [make_strip(mine.synthetic[:n], side, alt, "Synthetic")]
    if mine.nearest is not None and len(mine.nearest):
        alt = f"For each synthetic image of class {mine.name} by {method} the nearest training image, in the same order"
        strips.append(make_strip(mine.nearest[:n], side, alt, "Nearest training images"))
    return tuple(strips)


def _given(report: QualityReport, sources: Sources) -> Iterator[Images]:
    """Every array of images that could be shown."""
    yield from report.real.values()
    for _, _, by_class in sources:
        for mine in by_class.values():
            yield from (images for images in (mine.synthetic, mine.nearest) if images is not None)


def _notes(report: QualityReport, sources: Sources, having: int, shown: int, each: int, side: int) -> Iterator[str]:
    if shown < having:
        yield f"Grids are shown for the {shown} smallest of {number(having)} classes, the smallest first."
    given = [images for images in _given(report, sources) if len(images)]
    if any(len(images) > each for images in given):
        yield f"At most {many(each, 'image')} of each kind are shown, to keep this file small."
    if any(max(images.shape[1:3]) > side for images in given):
        yield f"Images are shown reduced to at most {side} pixels a side; the figures are of the full ones."
