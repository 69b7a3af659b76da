"""Reading synthetic samples, and the test part that they never enter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evenscore.data import Dataset
from evenscore.downstream import read_synthetic
from evenscore.downstream.synthetic import held_out
from evenscore.errors import DataError
from evenscore.writing import ImageFolder


def in_folder(data: Dataset, root: Path, marks: list[bool] | None = None) -> Path:
    """A data set as a folder by class; with metadata where marks are given."""
    folder = ImageFolder.at(root, data.class_names)
    lines = []
    for i, (image, k) in enumerate(zip(data.values, data.labels.tolist(), strict=True)):
        name = folder.save(k, f"{i:04d}.png", image)
        if marks is not None:
            lines.append({"file_name": name, "label": data.class_names[k], "synthetic": marks[i]})
    folder.record(lines) if lines else None
    return root


def archive(data: Dataset, path: Path) -> Path:
    np.savez(path, train_images=data.values, train_labels=data.labels, class_names=np.array(data.class_names))
    return path


def test_folder_and_archive_hold_the_same_samples(tmp_path: Path, real: Dataset, synthetic: Dataset) -> None:
    turned = Dataset(synthetic.values, 2 - synthetic.labels, real.class_names[::-1], "turned")
    for path in (
        in_folder(synthetic, tmp_path / "folder"),
        archive(synthetic, tmp_path / "a.npz"),
        archive(turned, tmp_path / "b.npz"),
    ):
        found = read_synthetic(path, real)
        assert np.array_equal(found.values, synthetic.values)
        assert np.array_equal(found.labels, synthetic.labels)
        assert (found.class_names, found.name) == (real.class_names, str(path))


def test_of_a_balanced_folder_only_synthetic_images_are_read(tmp_path: Path, real: Dataset, synthetic: Dataset) -> None:
    marks = [i % 3 == 0 for i in range(len(synthetic))]
    found = read_synthetic(in_folder(synthetic, tmp_path, marks), real)
    assert np.array_equal(found.values, synthetic.values[::3])


def test_vectors_are_read_as_they_are(tmp_path: Path, real_vectors: Dataset, synthetic_vectors: Dataset) -> None:
    found = read_synthetic(archive(synthetic_vectors, tmp_path / "v.npz"), real_vectors)
    assert np.array_equal(found.values, synthetic_vectors.values)


def test_some_classes_may_have_no_folder(tmp_path: Path, real: Dataset, synthetic: Dataset) -> None:
    few = synthetic.select(np.flatnonzero(synthetic.labels > 0))
    part = Dataset(few.values, few.labels - 1, real.class_names[1:], "part")
    found = read_synthetic(in_folder(part, tmp_path), real)
    assert found.distribution.counts == (0, 20, 12)


def test_what_does_not_fit_is_one_sentence(tmp_path: Path, real: Dataset, synthetic: Dataset) -> None:
    other = replace(synthetic, class_names=("ant", "bee", "dog"))
    with pytest.raises(
        DataError, match="has the class 'dog' that real lacks: give synthetic samples of the classes ant"
    ):
        read_synthetic(in_folder(other, tmp_path / "other"), real)
    colour = replace(synthetic, values=np.repeat(synthetic.values, 3, axis=3))
    with pytest.raises(
        DataError, match=r"of shape \(3, 8, 8\), and real of shape \(1, 8, 8\): give synthetic samples with"
    ):
        read_synthetic(in_folder(colour, tmp_path / "colour"), real)
    large = replace(synthetic, values=np.repeat(synthetic.values, 2, axis=1))
    with pytest.raises(DataError, match=r"of shape \(1, 16, 8\)"):
        read_synthetic(archive(large, tmp_path / "large.npz"), real)
    with pytest.raises(DataError, match="holds no generated images"):
        read_synthetic(in_folder(synthetic, tmp_path / "real", [False] * len(synthetic)), real)
    with pytest.raises(DataError, match="neither a run, nor a folder"):
        read_synthetic(tmp_path / "none", real)


def test_copies_never_enter_the_test(real: Dataset, synthetic: Dataset) -> None:
    test = real.test
    assert test is not None
    plain, notes = held_out(real, synthetic)
    assert np.array_equal(plain.values, test.values)
    assert notes == ()
    values = test.values.copy()
    values[2], values[7] = real.values[30], synthetic.values[4]
    fresh, notes = held_out(replace(real, test=replace(test, values=values)), synthetic)
    assert np.array_equal(fresh.values, np.delete(test.values, [2, 7], axis=0))
    assert notes[0] == "2 held-out samples equal training or synthetic ones and were left out"
    assert "from 4 to 5 samples of a class" in notes[1]


def test_a_test_part_is_needed(real: Dataset, synthetic: Dataset) -> None:
    with pytest.raises(DataError, match="real has no held-out part to test classifiers on: add test_images"):
        held_out(replace(real, test=None), synthetic)
    with pytest.raises(DataError, match="every held-out sample of real equals a training sample"):
        held_out(replace(real, test=real.select([0, 30])), synthetic)


def test_a_class_without_held_out_samples_is_said(real: Dataset, synthetic: Dataset) -> None:
    assert real.test is not None
    _, notes = held_out(replace(real, test=real.test.select(np.flatnonzero(real.test.labels != 1))), synthetic)
    assert notes == ("no held-out samples of bee: left out of every mean",)
