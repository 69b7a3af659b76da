"""Pictures of a quality page: synthetic above nearest, in the same order, within the budget whatever they hold."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from evenscore.report import QualityReport, quality_figures, quality_page
from evenscore.report.figures import Strip
from evenscore.report.quality import ClassPictures
from evenscore.report.quality_figures import pictures, suspicious


def decode(strip: Strip) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(strip.uri.partition(",")[2]))))


def noisy(report: QualityReport, shape: tuple[int, ...]) -> QualityReport:
    """The report with pictures of noise, which do not compress."""
    rng = np.random.default_rng(0)
    names = [part.name for part in report.parts if part.kind == "class"]
    made = [ClassPictures(name, *rng.integers(0, 256, (2, *shape), np.uint8)) for name in names]
    sections = tuple(
        dataclasses.replace(s, methods=tuple(dataclasses.replace(m, pictures=tuple(made)) for m in s.methods))
        for s in report.sections
    )
    real = {name: rng.integers(0, 256, shape, np.uint8) for name in names}
    return dataclasses.replace(report, sections=sections, real=real)


def test_a_class_shows_real_images_and_each_method_above_its_neighbours(quality: QualityReport) -> None:
    found = pictures(quality)
    assert [gallery.name for gallery in found.classes] == [part.name for part in quality.parts[5:]]
    assert found.notes == ()
    gallery = found.classes[1]
    ((section, shelves),) = gallery.rows
    assert section == "Equal <compute>"
    assert [shelf.method for shelf in shelves] == ["plain", "cb<dm", "mutual"]
    assert gallery.words == "medium, 100 training images"
    assert gallery.real is not None
    assert gallery.real.alt == "16 real images of class <script>alert(1)</script>"
    for shelf, method in zip(shelves, quality.sections[0].methods, strict=True):
        assert [strip.caption for strip in shelf.strips] == ["Synthetic", "Nearest training images"]
        for strip, images in zip(shelf.strips, (method.pictures[1].synthetic, method.pictures[1].nearest), strict=True):
            assert images is not None
            assert (decode(strip)[9:17, 9:17, :1] == images[9]).all()


def test_the_only_method_is_shown_in_one_row(make_quality: Callable[..., QualityReport]) -> None:
    one, two = (pictures(make_quality(methods=methods)).classes[0] for methods in (["run"], ["a", "b"]))
    assert [strip.caption for strip in one.single] == ["Synthetic", "Nearest training images"]
    assert two.single == ()


@pytest.mark.parametrize(("classes", "methods"), [(10, 3), (60, 3), (12, 6)])
def test_noise_stays_within_the_budget(
    make_quality: Callable[..., QualityReport], monkeypatch: pytest.MonkeyPatch, classes: int, methods: int
) -> None:
    monkeypatch.setattr(quality_figures, "BUDGET", 150_000)
    report = make_quality([f"c{k}" for k in range(classes)], [f"m{i}" for i in range(methods)], pictures=0)
    found = pictures(noisy(report, (16, 20, 20, 3)))
    assert 0 < sum(gallery.size for gallery in found.classes) <= 150_000
    assert any("images of each kind are shown" in note for note in found.notes)


def test_three_methods_on_ten_classes_of_noise_make_a_page_below_five_megabytes(
    make_quality: Callable[..., QualityReport],
) -> None:
    text = quality_page(noisy(make_quality([f"c{k}" for k in range(10)], pictures=0), (8, 64, 64, 3)))
    assert 1_500_000 < len(text.encode()) < 5_000_000


def test_of_many_classes_the_smallest_are_shown(make_quality: Callable[..., QualityReport]) -> None:
    report = make_quality([f"c{k}" for k in range(30)], ["run"], pictures=2)
    found = pictures(report)
    assert [gallery.name for gallery in found.classes] == [f"c{k}" for k in range(7, 27)]
    assert found.notes == ("Grids are shown for the 20 smallest of 30 classes, the smallest first.",)


def test_suspicious_pairs_stand_side_by_side(quality: QualityReport) -> None:
    found = suspicious(quality)
    assert [pairs.method for pairs in found] == ["cb<dm", "mutual"]
    assert [pairs.copies for pairs in found] == [0, 6]
    strip, is_copy = found[1].items[0]
    assert is_copy
    assert strip.caption == "cat: ratio 0.20, counts as a copy"
    sheet, images = decode(strip), quality.sections[0].methods[2].copies[0].images
    assert sheet.shape[:2] == (8, 17)
    assert (sheet[:, :8, :1] == images[0]).all()
    assert (sheet[:, 9:, :1] == images[1]).all()


def test_without_pictures_there_are_none(make_quality: Callable[..., QualityReport]) -> None:
    report = make_quality(pictures=0)
    assert pictures(report).classes == suspicious(report) == ()
