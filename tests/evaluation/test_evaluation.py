"""Evaluation: sources of samples agree, nothing but features stays, and figures are those of the measures."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from evenscore.data import Dataset
from evenscore.errors import DataError, UsageError
from evenscore.evaluation import Generated, Part, Settings, evaluate, of_dataset, of_files, sentences, to_dict
from evenscore.evaluation import files as files_module
from evenscore.evaluation import generated as generated_module
from evenscore.evaluation.settings import reference_kind
from evenscore.features import Cache, views
from evenscore.metrics.base import Figure
from evenscore.metrics.kernel import kernel_distance
from evenscore.metrics.measure import Grouping, Measured
from evenscore.writing import ImageFolder

QUICK = Settings("pixels", ("kernel", "copies"), replicates=20)


def blobs(seed: int, each: int = 30, names: tuple[str, ...] = ("a", "b", "c"), side: int = 8) -> Dataset:
    """Grey images of three classes that differ in brightness."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(names)), each)
    values = random.integers(0, 90, (len(labels), side, side, 1)) + 60 * labels[:, None, None, None]
    return Dataset.from_arrays(values.astype(np.uint8), labels, names, f"blobs {seed}")


def in_folder(data: Dataset, root: Path) -> Path:
    folder = ImageFolder.at(root, data.class_names)
    for i, (image, k) in enumerate(zip(data.values, data.labels.tolist(), strict=True)):
        folder.save(k, f"{i:04d}.png", image)
    return root


def seen(source: Generated) -> tuple[torch.Tensor, torch.Tensor]:
    parts = list(source.parts())
    return torch.cat([p.x for p in parts]), torch.cat([p.labels for p in parts])


@pytest.mark.parametrize("per_class", [None, 7])
def test_folder_and_archive_hold_the_same_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, per_class: int | None
) -> None:
    monkeypatch.setattr(files_module, "BATCH", 11)
    data = blobs(1)
    archive = tmp_path / "samples" / "samples.npz"
    archive.parent.mkdir()
    np.savez_compressed(
        archive, train_images=data.values, train_labels=data.labels, class_names=np.array(data.class_names)
    )
    expected = of_dataset(data, per_class)
    for path in (in_folder(data, tmp_path / "folder"), archive, archive.parent):
        found = of_files(path, per_class)
        assert (found.class_names, found.shape, found.counts) == (data.class_names, (1, 8, 8), expected.counts)
        for one, other in zip(seen(found), seen(expected), strict=True):
            assert torch.equal(one, other)


def test_of_a_balanced_folder_only_synthetic_images_are_judged(tmp_path: Path) -> None:
    data, folder = blobs(1, 4), ImageFolder.at(tmp_path, ("a", "b", "c"))
    lines = []
    for i, (image, k) in enumerate(zip(data.values, data.labels.tolist(), strict=True)):
        name = folder.save(k, f"{i:04d}.png", image)
        lines.append({"file_name": name, "label": data.class_names[k], "synthetic": k > 0 and i % 2 == 0})
    folder.record(lines)
    found = of_files(tmp_path)
    assert found.counts == (0, 2, 2)
    assert "only the 4 images marked as synthetic" in found.notes[0]
    assert "no generated samples of a: left out" in found.matched(data).notes[1]


def test_a_folder_whose_images_are_all_marked_as_real_has_no_samples(tmp_path: Path) -> None:
    data, folder = blobs(1, 1), ImageFolder.at(tmp_path, ("a", "b", "c"))
    names = [folder.save(k, "0.png", data.values[k]) for k in range(3)]
    folder.record([{"file_name": n, "label": n[0], "synthetic": False} for n in names])
    with pytest.raises(DataError, match="holds no generated images"):
        of_files(tmp_path)


def test_figures_are_those_of_the_measures(tmp_path: Path) -> None:
    reference, made = blobs(0), blobs(1, 25)
    found = evaluate(of_dataset(made), reference, QUICK, cache=Cache(tmp_path))
    flat = [d.tensor().flatten(1).double() for d in (made, reference)]
    assert found.measured.whole["kernel"].value == pytest.approx(kernel_distance(*flat), rel=1e-6)
    for k in range(3):
        mine = [x[torch.from_numpy(d.labels == k)] for x, d in zip(flat, (made, reference), strict=True)]
        assert found.measured.by_class[k]["kernel"].value == pytest.approx(kernel_distance(*mine), rel=1e-6, abs=1e-12)
        assert found.measured.by_class[k]["kernel"].n == 25
    assert found.measured.whole["copies"].value == 0
    assert list(found.measured.whole) == ["kernel", "copies"]
    assert found.protocol.reference == "blobs 0 (balanced_train)"
    assert found.protocol.counts == (25, 25, 25)


def test_copies_and_the_worst_class_are_said_in_words(tmp_path: Path) -> None:
    reference, made = blobs(0), blobs(1)
    values = made.values.copy()
    values[60:80] = reference.values[60:80]
    found = evaluate(of_dataset(replace(made, values=values)), reference, QUICK, cache=Cache(tmp_path))
    assert found.measured.by_class[2]["copies"].value == pytest.approx(20 / 30)
    assert found.measured.by_group["medium"]["copies"].value == pytest.approx(20 / 90)
    text = " ".join(sentences(found))
    assert "Copies of training samples: 22.2% of the samples" in text
    assert "most in class 'c': 66.7% of 30" in text
    assert "The worst class by kernel-pixels (lower is better) is" in text
    assert {pair["training"] for pair in to_dict(found)["memorisation"]["pairs"][:20]} == set(range(60, 80))


def test_labels_follow_the_names_of_the_classes(tmp_path: Path) -> None:
    reference, made = blobs(0), blobs(1)
    turned = Dataset.from_arrays(made.values, 2 - made.labels, ("c", "b", "a"), made.name)
    results = [evaluate(of_dataset(d), reference, QUICK, cache=Cache(tmp_path)) for d in (made, turned)]
    assert results[0].measured.by_class == results[1].measured.by_class
    assert results[0].measured.whole == results[1].measured.whole


def test_batches_change_nothing_and_are_gone_once_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference, made = blobs(0), blobs(1)
    whole = evaluate(of_dataset(made), reference, QUICK, cache=Cache(tmp_path))
    monkeypatch.setattr(generated_module, "BATCH", 9)
    source, alive, most = of_dataset(made), weakref.WeakSet[torch.Tensor](), []

    def parts() -> Iterator[Part]:
        for part in source.parts():
            alive.add(part.x)
            most.append(len(alive))
            yield part
            del part

    found = evaluate(replace(source, parts=parts), reference, QUICK, cache=Cache(tmp_path))
    assert found.measured == whole.measured
    assert len(most) == 10
    assert max(most) <= 2


def test_domain_features_know_the_classes(tmp_path: Path) -> None:
    reference, made, cache = blobs(0, 9), blobs(1, 24), Cache(tmp_path)
    settings = Settings("domain", ("kernel", "agreement"), replicates=20, fit_steps=2)
    found = evaluate(of_dataset(made), reference, settings, cache=cache)
    maps = views("domain", reference, "train", 0, cache, 2)
    likely = sum(view.features(made.tensor()).probabilities for view in maps).argmax(1)
    right = float((likely == torch.from_numpy(made.labels)).double().mean())
    assert found.measured.whole["agreement"].value == pytest.approx(right)
    assert found.measured.whole["kernel"].reference_n == 27
    assert found.protocol.settings["views"] == 2
    assert any("halves of the reference" in note for note in found.notes)


def test_several_views_give_the_mean() -> None:
    grouping = Grouping((5, 5))
    one, other = (
        Measured({"kernel": f}, {"tail": {"kernel": f}}, {0: {"kernel": f}, 1: {"kernel": g}}, {}, grouping)
        for f, g in (
            (Figure(1.0, 0.5, 2.0, 9, 4), Figure(None, None, None, 9, 1, "too few")),
            (Figure(3.0, 1.5, 4.0, 9, 5), Figure(7.0, 1.0, 9.0, 9, 2)),
        )
    )
    found = evaluate_module().merged([one, other])
    assert found.whole["kernel"] == Figure(2.0, 1.0, 3.0, 9, 9)
    assert found.by_class[1]["kernel"] == Figure(None, None, None, 9, 3, "too few")
    assert found.worst["kernel"].label == 0


def evaluate_module():  # type: ignore[no-untyped-def]
    """The module, whose name the function of the package hides."""
    import importlib

    return importlib.import_module("evenscore.evaluation.evaluate")


def test_references_are_named_by_what_they_are() -> None:
    data = blobs(0)
    uneven = data.select(np.arange(50))
    uneven = Dataset.from_arrays(uneven.values, uneven.labels, ("a", "b"), "uneven", test=None)
    unequal = uneven.select(np.arange(40))
    assert reference_kind(data, "train") == "balanced_train"
    assert reference_kind(unequal, "train") == "lt_train"
    assert reference_kind(data, "test") == "test"


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    reference, cache = blobs(0), Cache(tmp_path)
    colour = Dataset.from_arrays(np.repeat(blobs(1).values, 3, axis=3), blobs(1).labels, ("a", "b", "c"), "colour")
    empty = replace(of_dataset(blobs(1)), counts=(30, 0, 30))
    for made, words in (
        (of_dataset(blobs(1, names=("a", "b", "x"))), "the class 'x' that the reference lacks"),
        (of_dataset(blobs(1, names=("a", "b"))), "no class 'c'"),
        (of_dataset(colour), "colour images and the reference blobs 0 grey ones"),
        (of_dataset(blobs(1, side=9)), "DATA:size=9x9"),
        (empty, "no samples of class 'b'"),
    ):
        with pytest.raises(DataError, match=words):
            evaluate(made, reference, QUICK, cache=cache)
    with pytest.raises(DataError, match="no class 'c'"):
        evaluate(of_dataset(blobs(1)), reference, QUICK, trained_on=blobs(2, names=("a", "b")), cache=cache)
    with pytest.raises(UsageError, match="did you mean 'kernel'"):
        Settings(metrics=("kernal",))
    with pytest.raises(UsageError, match="each once"):
        Settings(metrics=("kernel", "kernel"))
    with pytest.raises(UsageError, match="label agreement needs"):
        evaluate(of_dataset(blobs(1)), reference, Settings("pixels", ("agreement",)), cache=cache)
    with pytest.raises(UsageError, match="tail at most"):
        Settings(head=5, tail=20)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"train_images": np.zeros((4, 8, 8), np.uint8)}, "has no train_labels, only the keys train_images"),
        ({"train_images": np.zeros((4, 8), np.int64), "train_labels": np.arange(4)}, "dtype int64"),
        ({"train_images": np.zeros((4, 8, 8), np.uint8), "train_labels": np.arange(3)}, "do not fit 4 samples"),
    ],
)
def test_archives_of_another_layout_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], words: str) -> None:
    np.savez(tmp_path / "made.npz", **arrays)
    with pytest.raises(DataError, match=words):
        of_files(tmp_path / "made.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(DataError, match="not an .npz archive"):
        of_files(tmp_path / "text.npz")
    with pytest.raises(DataError, match="neither a run, nor"):
        of_files(tmp_path / "none")
