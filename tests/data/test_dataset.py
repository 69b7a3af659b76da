from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from evenscore.data import Dataset, from_arrays
from evenscore.errors import DataError

IMAGES = np.arange(4 * 2 * 3 * 3, dtype=np.uint8).reshape(4, 2, 3, 3)
LABELS = [0, 1, 1, 0]


def test_images_have_the_shape_the_networks_see() -> None:
    data = from_arrays(IMAGES, LABELS, ["a", "b"])
    assert (data.kind, data.shape, data.num_classes, len(data)) == ("image", (3, 2, 3), 2, 4)
    assert data.distribution.counts == (2, 2)
    assert data.of_class(1).tolist() == [1, 2]
    x = data.tensor([2, 0])
    assert x.shape == (2, 3, 2, 3)
    assert x.dtype == torch.float32
    assert x[0, 1, 0, 2] == pytest.approx(IMAGES[2, 0, 2, 1] / 127.5 - 1, abs=1e-6)
    assert data.tensor().shape == (4, 3, 2, 3)


def test_grey_images_without_a_channel_axis_get_one() -> None:
    assert from_arrays(IMAGES[..., 0], LABELS).shape == (1, 2, 3)


def test_vectors_stay_as_they_are_and_are_copied() -> None:
    values = np.linspace(-5, 5, 12).reshape(4, 3)
    data = from_arrays(values, torch.tensor(LABELS))
    x = data.tensor()
    assert (data.kind, data.shape, data.values.dtype) == ("vector", (3,), np.float32)
    np.testing.assert_allclose(x.numpy(), values, rtol=1e-6)
    x.zero_()
    assert data.values.any()


@pytest.mark.parametrize(("low", "span"), [(0.0, "[0, 1]"), (-1.0, "[-1, 1]")])
def test_float_images_are_converted_and_said(low: float, span: str) -> None:
    values = np.linspace(low, 1, 4 * 4, dtype=np.float32).reshape(4, 2, 2)
    data = from_arrays(values, LABELS)
    assert (data.values.min(), data.values.max()) == (0, 255)
    assert any(span in note for note in data.notes)


def test_fingerprint_follows_content_only() -> None:
    data = from_arrays(IMAGES, LABELS)
    other = IMAGES.copy()
    other[3, 1, 2, 0] ^= 1
    assert data.fingerprint == from_arrays(IMAGES.copy(), LABELS, name="other name").fingerprint
    changed = [
        from_arrays(other, LABELS),
        from_arrays(IMAGES, [0, 1, 0, 1]),
        from_arrays(IMAGES, LABELS, ["a", "b"]),
        from_arrays(IMAGES.reshape(4, 3, 2, 3), LABELS),
    ]
    assert len({data.fingerprint, *(d.fingerprint for d in changed)}) == 5
    assert len(data.fingerprint) == 64


def test_select_keeps_classes_and_held_out_part() -> None:
    data = from_arrays(IMAGES, LABELS, test=(IMAGES[:1], [0]))
    part = data.select([3, 0])
    np.testing.assert_array_equal(part.values, IMAGES[[3, 0]])
    assert part.num_classes == 2
    assert part.test is data.test
    assert part.distribution.counts == (2, 0)


@pytest.mark.parametrize(
    ("values", "labels", "names", "says"),
    [
        (IMAGES.astype(np.int32), LABELS, None, "dtype int32"),
        (IMAGES.astype(np.uint16), LABELS, None, "dtype uint16"),
        (IMAGES.astype(np.float32), LABELS, None, "values from 0 to 71"),
        (np.full((4, 2, 2), np.nan), LABELS, None, "NaN"),
        (np.full((4, 2), np.inf), LABELS, None, "NaN or infinite"),
        (np.full((4, 2), 1e300), LABELS, None, "too large"),
        (np.ones((4, 2), dtype=np.int64), LABELS, None, "dtype int64"),
        (np.zeros((4, 2, 2, 4), np.uint8), LABELS, None, "shape (4, 2, 2, 4)"),
        (np.zeros((0, 2, 2, 3), np.uint8), [], None, "shape (0, 2, 2, 3)"),
        (np.zeros(4, np.uint8), LABELS, None, "shape (4,)"),
        (IMAGES, [0, 1, 1], None, "one label for each"),
        (IMAGES, [0, 1, -1, 1], None, "negative value -1"),
        (IMAGES, [0.0, 1.0, 1.0, 0.0], None, "dtype float64"),
        (IMAGES, [0, 2, 2, 0], None, "class '1' has 0 samples"),
        (IMAGES, [0, 1, 1, 0], ["a", "b", "c"], "class 'c' has 0 samples"),
        (IMAGES, [0, 1, 2, 0], ["a", "b"], "2 class names"),
        (IMAGES, [0, 1, 1, 0], ["a", "a"], "'a' stands twice"),
        (IMAGES, [0, 0, 0, 0], None, "only 1 class"),
        (IMAGES, [0, 0, 0, 10**12], None, "without gaps"),
    ],
)
def test_bad_arrays_are_refused_in_one_sentence(values: object, labels: object, names: list[str], says: str) -> None:
    with pytest.raises(DataError) as caught:
        from_arrays(values, labels, names)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_held_out_part_must_fit() -> None:
    with pytest.raises(DataError, match="held-out part"):
        from_arrays(IMAGES, LABELS, test=(IMAGES[:, :1], LABELS))
    with pytest.raises(DataError, match="labels run from 0 to 5"):
        from_arrays(IMAGES, LABELS, test=(IMAGES, [0, 5, 0, 0]))


def test_direct_construction_is_checked_too() -> None:
    good = from_arrays(IMAGES, LABELS)
    for change in ({"values": IMAGES.astype(float)}, {"labels": np.array(LABELS, np.int32)}, {"files": ()}):
        with pytest.raises(DataError):
            dataclasses.replace(good, **change)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="NaN"):
        Dataset(np.full((2, 2), np.nan, np.float32), np.array([0, 1]), ("a", "b"), "vectors")
