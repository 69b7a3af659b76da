"""Figures: strips show the images they are given, pixel for pixel, and stay under the limit whatever they show."""

from __future__ import annotations

import base64
import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from evenscore.errors import DataError
from evenscore.report import BalanceReport, balance_page
from evenscore.report.figures import BUDGET, Galleries, galleries, strip_png, thumbnails
from evenscore.report.records import ClassReport


def decode(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def noise(report: BalanceReport, classes: int, shape: tuple[int, ...]) -> tuple[ClassReport, ...]:
    rng = np.random.default_rng(0)
    kinds = ("real_images", "synthetic_images", "nearest_images")
    return tuple(
        dataclasses.replace(
            report.classes[1], name=f"class {k}", **{kind: rng.integers(0, 256, shape, np.uint8) for kind in kinds}
        )
        for k in range(classes)
    )


def size(found: Galleries) -> int:
    return sum(len(strip.uri) for item in found.items for strip in item.strips)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_strip_holds_the_pixels_in_rows_of_eight(channels: int) -> None:
    images = np.random.default_rng(1).integers(0, 256, (11, 5, 6, channels), dtype=np.uint8)
    sheet = np.asarray(Image.open(io.BytesIO(strip_png(images))))
    assert sheet.shape == (2 * 5 + 1, 8 * 6 + 7, channels + 1)
    for i, image in enumerate(images):
        top, left = (i // 8) * 6, (i % 8) * 7
        assert (sheet[top : top + 5, left : left + 6, :channels] == image).all()
    assert int((sheet[..., channels] == 255).sum()) == 11 * 5 * 6
    assert int((sheet[..., channels] == 0).sum()) == sheet[..., 0].size - 11 * 5 * 6


def test_thumbnails_keep_small_images_and_the_aspect_ratio() -> None:
    images = np.random.default_rng(2).integers(0, 256, (3, 100, 50, 1), dtype=np.uint8)
    assert thumbnails(images, 100) is images
    assert thumbnails(images, 40).shape == (3, 40, 20, 1)
    assert thumbnails(np.full((1, 90, 90, 3), 77, np.uint8), 30).tolist() == np.full((1, 30, 30, 3), 77).tolist()


def test_ten_classes_of_64_by_64_in_colour_stay_under_five_megabytes(report: BalanceReport) -> None:
    classes = noise(report, 10, (16, 64, 64, 3))
    text = balance_page(dataclasses.replace(report, classes=classes))
    assert len(text.encode()) < 5_000_000
    assert "At most 8 images of each kind are shown" in text
    assert text.count("<img") == 30


def test_forty_classes_of_large_noise_stay_within_the_budget(report: BalanceReport) -> None:
    images = noise(report, 1, (4, 96, 96, 3))
    found = galleries(images * 50)
    assert len(found.items) == 40
    assert size(found) <= BUDGET
    assert any("reduced to at most" in note for note in found.notes)


def test_small_images_are_shown_whole_and_in_the_same_order(report: BalanceReport) -> None:
    found = galleries(report.classes)
    assert found.notes == ()
    assert [item.name for item in found.items] == [each.name for each in report.classes]
    assert [len(item.strips) for item in found.items] == [1, 3, 3, 3, 3, 3]
    each, item = report.classes[1], found.items[1]
    for images, strip in zip((each.real_images, each.synthetic_images, each.nearest_images), item.strips, strict=True):
        assert images is not None
        sheet = decode(strip.uri)
        assert (sheet.shape[1], sheet.shape[0]) == (strip.width, strip.height)
        assert (sheet[9:17, 9:17, :1] == images[9]).all()
        assert strip.pixelated
    assert [strip.caption for strip in item.strips][:2] == ["Real: 16 of 617", "Synthetic: 16 of 617"]


@pytest.mark.parametrize(
    "images", [np.zeros((2, 4, 4, 1)), np.zeros((2, 4, 4), np.uint8), np.zeros((2, 4, 4, 4), np.uint8)]
)
def test_other_arrays_are_refused(report: BalanceReport, images: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"give uint8 of shape \(n, height, width, channels\)"):
        dataclasses.replace(report.classes[0], real_images=images)


def test_nearest_images_must_match_the_synthetic_ones(report: BalanceReport) -> None:
    with pytest.raises(DataError, match="3 nearest images for 16 synthetic ones"):
        dataclasses.replace(report.classes[1], nearest_images=np.zeros((3, 8, 8, 1), np.uint8))
