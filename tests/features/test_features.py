"""Feature maps: each by its name, batch-independent, and with one sentence for what it cannot see."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from evenscore.data import Dataset
from evenscore.errors import DataError, UsageError
from evenscore.features import Cache, named, reference_part, reference_seen, views
from evenscore.features import inception as inception_module
from evenscore.features.domain import fitted, halves
from evenscore.features.inception import Inception, InceptionV3, checked, network_of
from evenscore.features.judge import Judge, JudgeNetwork
from evenscore.random import seeded_layers


class Edges(nn.Module):
    """A user's own module: differences of neighbours, and probabilities of ten classes."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = (x[..., 1:] - x[..., :-1]).flatten(1)
        return features, features[:, :10].softmax(1)


class NeedsMore(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()


class Pictures(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


def a_judge(path: Path, channels: int = 1, classes: int = 10) -> Path:
    with seeded_layers(3):
        network = JudgeNetwork(channels, classes, 8)
    save_file(network.state_dict(), path)
    return path


def small(seed: int = 0) -> Dataset:
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), (9, 6, 4))
    values = (random.random((19, 8, 8, 1)) * 60 + 60 * labels[:, None, None, None]).astype(np.uint8)
    return Dataset.from_arrays(values, labels)


def test_pixels_are_the_values() -> None:
    x = torch.rand(5, 1, 4, 4)
    seen = named("pixels")(x)
    assert torch.equal(seen.features, x.flatten(1))
    assert seen.probabilities is None


def test_a_judge_gives_pooled_features_and_probabilities_of_any_batch(tmp_path: Path) -> None:
    judge = Judge(a_judge(tmp_path / "eye.safetensors"))
    assert (judge.name, judge.own_classes) == ("eye", True)
    judge.check((1, 8, 8), 10)
    x = torch.rand(7, 1, 8, 8) * 2 - 1
    seen = judge(x)
    assert seen.features.shape == (7, 32)
    assert seen.probabilities is not None
    torch.testing.assert_close(seen.probabilities.sum(1), torch.ones(7))
    torch.testing.assert_close(judge(x[3:4]).features, seen.features[3:4])
    by_hand = judge.network.body(x).mean((2, 3))
    torch.testing.assert_close(seen.features, by_hand)


def test_a_judge_of_other_data_is_refused(tmp_path: Path) -> None:
    judge = Judge(a_judge(tmp_path / "eye.safetensors"))
    with pytest.raises(DataError, match="1 channels .* shape \\(3, 8, 8\\)"):
        judge.check((3, 8, 8), 10)
    with pytest.raises(DataError, match="knows 10 classes, but the data have 4"):
        judge.check((1, 8, 8), 4)


@pytest.mark.parametrize("change", ["shape", "missing", "more", "other", "text"])
def test_a_file_of_another_network_is_refused(tmp_path: Path, change: str) -> None:
    path = tmp_path / "eye.safetensors"
    weights = JudgeNetwork(1, 10, 8).state_dict()
    if change == "shape":
        weights["body.4.0.weight"] = torch.zeros(3, 3)
    elif change == "missing":
        del weights["body.1.1.bias"]
    elif change == "more":
        weights["tail.weight"] = torch.zeros(2)
    elif change == "other":
        weights = {"conv.weight": torch.zeros(2, 2)}
    save_file(weights, path)
    if change == "text":
        path.write_text("not tensors")
    with pytest.raises(DataError, match="give the .*file of a judge"):
        named(str(path))


def test_any_module_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    edges = named("test_features:Edges")
    edges.check((1, 8, 8), 10)
    assert edges.own_classes
    edges.check((1, 8, 8), 7)
    assert not edges.own_classes
    x = torch.rand(4, 1, 8, 8)
    assert torch.equal(edges(x).features, (x[..., 1:] - x[..., :-1]).flatten(1))
    with pytest.raises(DataError, match="cannot be made"):
        named("test_features:NeedsMore")
    with pytest.raises(DataError, match="return one row for each sample"):
        named("test_features:Pictures").check((1, 8, 8), 10)
    with pytest.raises(UsageError, match="not a torch module"):
        named("test_features:a_judge")
    with pytest.raises(UsageError, match="cannot be imported"):
        named("no.such.module:Class")


def test_a_misspelt_name_is_an_error() -> None:
    with pytest.raises(UsageError, match="did you mean 'pixels'"):
        named("pixel")


def test_inception_has_the_published_size_and_survives_a_round_trip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """27,161,264 parameters as published, less 3,326,696 of the auxiliary head, and 8 outputs more."""
    with seeded_layers(0):
        network = InceptionV3().eval()
    assert sum(p.numel() for p in network.parameters()) == 27_161_264 - 3_326_696 + 8 * 2049
    path = tmp_path / "weights.pth"
    torch.save(network.state_dict(), path)
    with pytest.raises(DataError, match="SHA-256 .* not 6726825d"):
        Inception(path)
    monkeypatch.setattr(inception_module, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    features = Inception(path)
    assert features.key == checked(path)
    x = torch.rand(1, 1, 8, 8) * 2 - 1
    seen = features(x)
    assert seen.features.shape == (1, 2048)
    assert seen.probabilities is not None
    assert seen.probabilities.shape == (1, 1008)
    with torch.inference_mode():
        large = nn.functional.interpolate(x.expand(-1, 3, -1, -1), (299, 299), mode="bilinear", align_corners=False)
        torch.testing.assert_close(seen.features, network(large))
    with pytest.raises(DataError, match="see images"):
        features.check((5,), 2)


def test_inception_weights_that_lack_something_are_refused(tmp_path: Path) -> None:
    with torch.device("meta"):
        weights = InceptionV3().state_dict()
    del weights["Mixed_7c.branch_pool.conv.weight"]
    with pytest.raises(DataError, match="no Mixed_7c.branch_pool.conv.weight of shape"):
        network_of(weights, tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        named(f"inception:{tmp_path / 'none.pth'}")


def test_domain_features_are_fitted_once_and_never_on_what_is_compared(tmp_path: Path) -> None:
    data, cache = small(), Cache(tmp_path / "cache")
    one, other = views("domain", data, "train", 0, cache, steps=3)
    assert sorted([*one.rows, *other.rows]) == list(range(19))
    first, second = halves(data.labels, 0)
    assert np.array_equal(one.rows, second)
    assert np.array_equal(other.rows, first)
    assert np.bincount(data.labels[first]).tolist() == [5, 3, 2]
    assert one.features.key == fitted(data, first, 0, cache, 3).key != other.features.key
    assert len(list((tmp_path / "cache").iterdir())) == 2
    seen = one.features(data.tensor())
    torch.testing.assert_close(one.features(data.tensor([4])).features, seen.features[4:5], atol=1e-5, rtol=1e-5)


def test_features_of_a_reference_are_read_again_and_a_damaged_file_is_not(tmp_path: Path) -> None:
    data, cache = small(), Cache(tmp_path)
    judge = a_judge(tmp_path / "eye.safetensors", classes=3)
    (view,) = views(str(judge), data, "train", 0, cache)
    seen = reference_seen(view, data, cache)
    (kept,) = tmp_path.glob("seen-*")
    for content in (None, b"damaged"):
        if content:
            kept.write_bytes(content)
        again = reference_seen(view, data, cache)
        assert torch.equal(again.features, seen.features)


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    found = Cache(tmp_path / "file").get("key", lambda: {"a": torch.ones(2)})
    assert torch.equal(found["a"], torch.ones(2))


def test_the_reference_part_must_be_there() -> None:
    data = small()
    with pytest.raises(DataError, match="no held-out part"):
        reference_part(data, "test")
    with pytest.raises(UsageError, match="reference part"):
        reference_part(data, "tset")
    held = Dataset(data.values[:9], data.labels[:9], data.class_names, "held")
    with pytest.raises(DataError, match="no samples of class '1' in its test part"):
        reference_part(Dataset(data.values, data.labels, data.class_names, "d", test=held), "test")
    lone = data.select(np.array([0, 1, 2, 9, 10, 15]))
    with pytest.raises(DataError, match="a class of one sample"):
        views("domain", lone, "train", 0, Cache(Path("unused")))
