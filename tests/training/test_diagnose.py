"""Diagnoses of a game in training: each number against a direct computation, and that looking changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from evenscore.checkpoint import load_checkpoint
from evenscore.configuration import TrainConfig
from evenscore.data import Dataset
from evenscore.denoisers.preconditioned import Preconditioned
from evenscore.networks.heads import feature_rows, target_rows, trunk_of
from evenscore.objectives import CBDM, Mutual, WorstClass
from evenscore.objectives.denoising import denoising_loss
from evenscore.objectives.time_weight import TIME_WEIGHTS
from evenscore.run import Run
from evenscore.training import diagnose as diagnosing
from evenscore.training import train
from evenscore.training.diagnose import RIDGE, chosen_classes, diagnose, is_game, opponents
from evenscore.training.meters import probe_batch, probe_loss

Quick = Callable[..., TrainConfig]


@pytest.fixture(scope="module")
def denoiser(trained: Path) -> Preconditioned:
    """The trained network with its last layer and label embedding made livelier."""
    found = Run.open(trained).denoiser().requires_grad_(False)
    random = torch.Generator().manual_seed(0)
    for p in (found.backbone.outward.weight, found.backbone.label.weight):
        p.add_(0.1 * torch.randn(p.shape, generator=random))
    return found


def test_what_counts_as_a_game(quick: Quick) -> None:
    assert not is_game(quick())
    assert not is_game(quick(objective=WorstClass()))
    assert is_game(quick(objective=Mutual()))
    assert is_game(quick(objective=CBDM()))
    assert is_game(quick(players="trunk"))


def test_disagreement(denoiser: Preconditioned, digits: Dataset, quick: Quick) -> None:
    config = quick(objective=Mutual(time_weight="vanishing"))
    found = diagnose(denoiser, digits, config, config.objective)
    classes = chosen_classes(digits.distribution.counts)
    probe = probe_batch(denoiser, digits, config, classes)
    for k in (classes[0], classes[-1]):
        mine = probe.y == k
        x_t, t, y = probe.x_t[mine], probe.t[mine], probe.y[mine]
        own = denoiser.predict(x_t, t, y).eps
        apart = [
            (own - denoiser.predict(x_t, t, torch.full_like(y, j)).eps).square().flatten(1).mean(1)
            for j in opponents(k, classes)
        ]
        weight = TIME_WEIGHTS["vanishing"](denoiser.process.log_snr(t))
        expected = float((weight * torch.stack(apart).mean(0)).mean())
        assert expected > 1e-5
        assert found["disagreement_by_class"][str(k)] == pytest.approx(expected, rel=1e-3, abs=1e-7)
    assert found["disagreement"] == pytest.approx(sum(found["disagreement_by_class"].values()) / 10, rel=1e-4)


def test_the_gap_of_a_class_alone_is_that_of_least_squares(
    denoiser: Preconditioned, digits: Dataset, quick: Quick
) -> None:
    config = quick(players="trunk")
    found = diagnose(denoiser, digits, config, config.objective)
    probe = probe_batch(denoiser, digits, config, chosen_classes(digits.distribution.counts))
    mine = probe.y == 0
    x0, eps, x_t, t, y = (v[mine] for v in (probe.x0, probe.eps, probe.x_t, probe.t, probe.y))
    trunk = trunk_of(denoiser.backbone)
    phi = feature_rows(trunk, trunk.features(*denoiser.seen(x_t, t), y)).flatten(0, 1).double()
    aim = target_rows(trunk, denoiser.raw_target(x0, t, eps)).flatten(0, 1).double()
    mu = RIDGE * float(phi.square().mean())
    layer = trunk.outward
    own = torch.cat([layer.weight.flatten(1), layer.bias[:, None]], 1).double()

    def loss(head: Tensor) -> float:
        fit = (phi @ head.T - aim).square().sum(1).mean()
        return float(fit + mu * (head - own).square().sum()) / len(own)

    stacked = torch.cat([phi / len(phi) ** 0.5, mu**0.5 * torch.eye(phi.shape[1], dtype=torch.float64)])
    wanted = torch.cat([aim / len(phi) ** 0.5, mu**0.5 * own.T])
    best = torch.linalg.lstsq(stacked, wanted).solution.T
    plain = denoising_loss(denoiser, denoiser.predict(x_t, t, y), replace(probe, x0=x0, t=t), "edm").mean()
    assert loss(own) == pytest.approx(float(plain), rel=1e-3)
    assert found["last_layer_gap_by_class"]["0"] == pytest.approx(loss(own) - loss(best), rel=1e-4)
    assert found["last_layer_gap"] == max(found["last_layer_gap_by_class"].values()) or found[
        "last_layer_gap"
    ] == pytest.approx(max(found["last_layer_gap_by_class"].values()), abs=1e-8)


def test_the_pull_enters_the_gap(denoiser: Preconditioned, digits: Dataset, quick: Quick) -> None:
    gaps = [
        diagnose(denoiser, digits, config, config.objective)["last_layer_gap_by_class"]["0"]
        for config in (quick(objective=Mutual(strength=s)) for s in (0.0, 1.0, 100.0))
    ]
    assert len(set(gaps)) == 3


def test_the_gradient_proxy(denoiser: Preconditioned, digits: Dataset, quick: Quick) -> None:
    config = quick(players="trunk")
    found = diagnose(denoiser, digits, config, config.objective)
    probe = probe_batch(denoiser, digits, config, chosen_classes(digits.distribution.counts))
    layer = trunk_of(denoiser.backbone).outward
    layer.requires_grad_(True)
    loss = denoising_loss(denoiser, denoiser.predict(probe.x_t, probe.t, probe.y), probe, "edm")
    norms = []
    for k in range(digits.num_classes):
        grads = torch.autograd.grad(loss[probe.y == k].mean(), list(layer.parameters()), retain_graph=True)
        norms.append(float(torch.cat([g.flatten() for g in grads]).norm()))
    layer.requires_grad_(False)
    assert found["gradient_proxy"] == pytest.approx(max(norms), rel=1e-3)
    assert all(p.grad is None and not p.requires_grad for p in denoiser.parameters())


@pytest.mark.parametrize(
    "changes",
    [
        {"objective": Mutual(coupling="similarity", strength_rule="by-count")},
        {"objective": CBDM(), "players": "trunk"},
        {"players": "separate", "objective": Mutual()},
        {"players": "trunk", "objective": WorstClass()},
    ],
)
def test_training_logs_the_game_and_is_not_changed_by_it(
    tmp_path: Path, digits: Dataset, quick: Quick, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    config = quick(steps=2, checkpoint_every=1, **changes)
    list(train(digits, tmp_path / "seen", config))
    monkeypatch.setattr(diagnosing, "is_game", lambda config: False)
    list(train(digits, tmp_path / "unseen", config))
    one, other = (load_checkpoint(tmp_path / name / "checkpoints").tensors for name in ("seen", "unseen"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
    games = [r["game"] for r in Run.open(tmp_path / "seen").records() if "game" in r]
    assert len(games) == 2
    assert all(game[key] >= 0 for game in games for key in ("disagreement", "gradient_proxy", "last_layer_gap"))
    assert games[0] != games[1]
    assert not [r for r in Run.open(tmp_path / "unseen").records() if "game" in r]


def test_diagnoses_take_a_small_share_of_the_time(
    denoiser: Preconditioned, digits: Dataset, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = quick(objective=Mutual())
    monkeypatch.setattr(diagnosing, "diagnose", lambda *given: {"progress": given[4]})
    watch = diagnosing.Watch(digits, config, config.objective)
    assert watch(denoiser, 0.1, {}, 50.0) == {"game": {"progress": 0.1}}
    watch.cost = 3.0
    assert watch(denoiser, 0.2, {}, 149.0) == {}
    assert watch(denoiser, 0.3, {}, 151.0) == {"game": {"progress": 0.3}}
    watch.cost = 3.0
    assert watch(denoiser, 1.0, {}, 152.0) == {"game": {"progress": 1.0}}, "the last checkpoint is always looked at"


def test_few_classes_are_looked_at_however_many_there_are() -> None:
    counts = tuple(1000 - k for k in range(1000))
    classes = chosen_classes((*counts, 0))
    assert len(classes) == 10
    assert (classes[0], classes[-1]) == (0, 999)
    assert chosen_classes((5, 9, 0, 7)) == (1, 3, 0)
    for k in classes:
        others = opponents(k, classes)
        assert len(set(others)) == 3
        assert k not in others
    assert opponents(1, (1, 3)) == (3,)
    assert opponents(4, (4,)) == ()


def test_the_probe_is_the_same_as_before(denoiser: Preconditioned, digits: Dataset, quick: Quick) -> None:
    batch = probe_batch(denoiser, digits, quick())
    loss = denoising_loss(denoiser, denoiser.predict(batch.x_t, batch.t, batch.y), batch, "edm")
    assert probe_loss(denoiser, digits, quick()).by_class[3] == pytest.approx(float(loss[batch.y == 3].mean()))
    again = probe_batch(denoiser, digits, quick())
    assert torch.equal(batch.x_t, again.x_t)
