from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evenscore.data import read_archive
from evenscore.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 2, 1, 0])
GOOD: dict[str, Any] = {"train_images": IMAGES, "train_labels": LABELS}


def saved(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path / "data.npz", **arrays)
    return path / "data.npz"


def assert_refused(path: Path, *says: str) -> None:
    with pytest.raises(DataError) as caught:
        read_archive(path)
    for part in says:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_images_labels_names_and_held_out(tmp_path: Path) -> None:
    names = np.array(["ant", "bee", "cat"])
    data = read_archive(saved(tmp_path, **GOOD, class_names=names, test_images=IMAGES[:2], test_labels=LABELS[:2]))
    np.testing.assert_array_equal(data.values, IMAGES)
    assert data.class_names == ("ant", "bee", "cat")
    assert data.test is not None
    assert data.test.labels.tolist() == [0, 1]
    assert data.shape == (3, 4, 5)


@pytest.mark.parametrize("keys", [("images", "labels"), ("x_train", "y_train")])
def test_other_names_of_the_keys(tmp_path: Path, keys: tuple[str, str]) -> None:
    data = read_archive(saved(tmp_path, **dict(zip(keys, (IMAGES[..., 0], LABELS[:, None]), strict=True))))
    assert data.shape == (1, 4, 5)
    assert data.labels.tolist() == LABELS.tolist()


def test_names_as_bytes(tmp_path: Path) -> None:
    assert read_archive(saved(tmp_path, **GOOD, class_names=np.array([b"a", b"b", b"c"]))).class_names == (
        "a",
        "b",
        "c",
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"train_images": IMAGES.astype(np.int64)}, "dtype int64"),
        ({"train_images": IMAGES[0]}, "4 samples"),
        ({"train_images": IMAGES[0, 0, 0]}, "shape (3,)"),
        ({"train_images": np.where(IMAGES[0, 0, 0, 0] == IMAGES, np.nan, 0.5)}, "NaN"),
        ({"train_images": IMAGES.astype(np.float32)}, "values from"),
        ({"train_images": np.full((6, 2), np.nan, np.float32)}, "NaN"),
        ({"train_images": np.uint8(7)}, "no entry per sample"),
        ({"train_labels": LABELS - 1}, "negative"),
        ({"train_labels": LABELS * 2}, "class '1' has 0 samples"),
        ({"train_labels": LABELS[:5]}, "one label for each"),
        ({"train_labels": LABELS * 0}, "only 1 class"),
        ({"train_labels": LABELS.astype(str)}, "dtype <U"),
        ({"class_names": np.array(["a", "b"])}, "2 class names"),
        ({"class_names": np.array(["a", "b", "c", "d"])}, "class 'd' has 0 samples"),
        ({"class_names": np.array(["a", "b", "c"], dtype=object)}, "Python objects"),
        ({"train_images": np.array([None] * 6)}, "Python objects"),
        ({"test_images": IMAGES}, "no test_labels"),
        ({"test_labels": LABELS}, "no test_images"),
        ({"test_images": IMAGES[:, :2], "test_labels": LABELS}, "held-out part"),
    ],
)
def test_bad_content(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    assert_refused(saved(tmp_path, **GOOD | change), says)


def test_missing_keys_are_named_with_what_was_found(tmp_path: Path) -> None:
    assert_refused(saved(tmp_path, pictures=IMAGES, train_labels=LABELS), "no train_images", "pictures, train_labels")


def test_what_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    assert_refused(path, "does not exist")
    path.write_text("hello")
    assert_refused(path, "is not an .npz archive")
    path.write_bytes(pickle.dumps(GOOD))
    assert_refused(path, "is not an .npz archive")
    np.save(tmp_path / "b.npy", IMAGES)
    (tmp_path / "b.npy").rename(path)
    assert_refused(path, "is not an .npz archive")


def test_permission_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = saved(tmp_path, **GOOD)
    monkeypatch.setattr("evenscore.data.archive.open_regular", denied)
    assert_refused(path, "cannot be read", "Permission denied")


def test_truncated_and_damaged_archives(tmp_path: Path) -> None:
    whole = saved(tmp_path, **GOOD).read_bytes()
    path = tmp_path / "cut.npz"
    for size in (30, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:size])
        assert_refused(path, "cut.npz")
    damaged = bytearray(whole)
    for place in range(100, 160):
        damaged[place] ^= 0x55
    path.write_bytes(damaged)
    assert_refused(path, "damaged")
