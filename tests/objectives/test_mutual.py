"""Mutual learning: plain denoising at strength 0, CBDM as a special case, its published forms, and its numbers' precision."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from evenscore.denoisers.base import Denoiser
from evenscore.denoisers.preconditioned import Conditioned, Preconditioned
from evenscore.errors import UsageError
from evenscore.labels import LabelDistribution
from evenscore.networks import build_network
from evenscore.objectives import (
    CBDM,
    OBJECTIVES,
    ClassMoments,
    CountAlignment,
    Denoising,
    Mutual,
    Noised,
    Objective,
    WorstClass,
    noised,
)
from evenscore.objectives.coupling import similarity
from evenscore.objectives.time_weight import reference_time
from evenscore.process import VP

AS_CBDM: dict[str, Any] = {"coupling": "train", "gamma": 0.25, "time_weight": "reference", "rows": 1.0}


def seeded(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("weighting", ["edm", "simple"])
@pytest.mark.parametrize("none", [Mutual, CBDM, CountAlignment, WorstClass])
def test_at_strength_0_it_is_plain_denoising_bit_for_bit(
    affine: Denoiser, batch: Noised, labels: LabelDistribution, none: type[Objective], weighting: str
) -> None:
    zero = {Mutual: "strength", CBDM: "tau", CountAlignment: "kappa", WorstClass: "step"}[none]
    objective = none(**{zero: 0.0, "weighting": weighting})
    memory = objective.remember(labels)
    for _ in range(3):
        seen = Noised(*list(vars(batch).values())[:6], memory=memory)
        terms = objective(affine, seen, labels, seeded())
        plain = Denoising(weighting)(affine, batch, labels, seeded())
        assert terms.keys() == plain.keys()
        assert torch.equal(terms["denoising"], plain["denoising"])
        memory = objective.learn(memory, seen, terms, labels)


@pytest.mark.parametrize(("strength", "law", "start", "rows"), [(1.0, "train", 0, 1), (0.3, "uniform", 0.95, 0.5)])
def test_class_balancing_diffusion_is_a_special_case(
    affine: Denoiser,
    batch: Noised,
    labels: LabelDistribution,
    strength: float,
    law: str,
    start: float,
    rows: float,
) -> None:
    mutual = Mutual(strength=strength, start=start, **{**AS_CBDM, "coupling": law, "rows": rows})
    cbdm = CBDM(tau=strength, law=law, start=start, rows=rows)
    one, other = (objective(affine, batch, labels, seeded()) for objective in (mutual, cbdm))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("beta", [0.1, 1.0])
def test_it_is_the_published_loss_in_both_conventions(
    affine: Denoiser, batch: Noised, labels: LabelDistribution, beta: float
) -> None:
    affine.requires_grad_(False)
    exact: dict[str, Any] = {"coupling": "uniform-enumerated", "time_weight": "reference", "rows": 1.0}
    paper = Mutual(strength=beta, weighting="simple", **exact)(affine, batch, labels, seeded())
    released = Mutual(strength=beta * 4 / 3, weighting="simple", **exact)(affine, batch, labels, seeded())
    for i in range(len(batch.y)):
        x, t, y = batch.x_t[i : i + 1], batch.t[i : i + 1], int(batch.y[i])
        h = [affine.predict(x, t, torch.tensor([k])).eps for k in range(5)]
        gaps = [float((h[y] - h[k]).detach().square().mean()) for k in range(4) if k != y]
        u = float(reference_time(affine.process.log_snr(t))) * float(batch.kept[i])
        denoising = float((h[int(batch.y_in[i])] - batch.eps[i]).detach().square().mean())
        assert float(paper["denoising"][i]) == pytest.approx(denoising, rel=1e-9)
        assert float(paper["pull"][i]) == pytest.approx(beta * u * sum(gaps) / 4, rel=1e-9, abs=1e-15)
        assert float(released["pull"][i]) == pytest.approx(beta * u * sum(gaps) / 3, rel=1e-9, abs=1e-15)


def test_a_row_moves_its_own_player_only(affine: Denoiser, batch: Noised, labels: LabelDistribution) -> None:
    for y in range(5):
        label = torch.full_like(batch.y, y)
        mine = noised(affine.process, batch.x0, label.clamp_max(3), label, batch.t, batch.eps)
        terms = Mutual(strength=5.0, rows=0.5)(affine, mine, labels, seeded())
        (gradient,) = torch.autograd.grad(torch.stack(list(terms.values())).sum(), affine.get_parameter("bias"))
        moved = gradient.abs().amax(1) > 0
        assert moved.nonzero().flatten().tolist() == [y]


def test_similarity_is_bound_to_the_data_once_and_only_when_asked_for(labels: LabelDistribution) -> None:
    means = torch.tensor([[0.0], [1.0], [2.5], [9.0]], dtype=torch.float64)
    moments = ClassMoments(means, labels.counts, torch.eye(1, dtype=torch.float64))
    asked: list[int] = []

    def measure() -> ClassMoments:
        asked.append(1)
        return moments

    objectives = [kind() for kind in OBJECTIVES.values()]
    assert all(objective.bind(measure) is objective for objective in objectives)
    assert asked == []
    wanted = Mutual(coupling="similarity", width=2.0)
    bound = wanted.bind(measure)
    assert asked == [1]
    assert bound.similar is not None
    assert torch.equal(bound.similar, similarity(moments, 2.0))
    assert wanted.similar is None, "a record is not changed"
    assert bound == wanted, "what was measured is no setting"


def network(shape: tuple[int, ...] = (1, 8, 8), condition: int = 0) -> Preconditioned:
    torch.manual_seed(0)
    made = Preconditioned(build_network("tiny", shape, 4, condition), VP(), 4, shape)
    for parameter in made.parameters():
        if not bool(parameter.detach().any()):
            torch.nn.init.normal_(parameter, std=0.05)
    return made


def images(n: int = 16) -> Noised:
    random = seeded(2)
    y = torch.arange(n) % 4
    x0, eps = (torch.randn(n, 1, 8, 8, generator=random) for _ in range(2))
    return noised(VP(), x0, y, torch.where(torch.arange(n) % 7 == 3, 4, y), torch.linspace(0.05, 0.95, n), eps)


def gradient(
    objective: Objective, denoiser: Denoiser, batch: Noised, labels: LabelDistribution, half: bool
) -> torch.Tensor:
    denoiser.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        terms = objective(denoiser, batch, labels, seeded())
    torch.stack(list(terms.values())).sum(0).mean().backward()  # type: ignore[no-untyped-call]
    return torch.cat([p.grad.flatten() for p in denoiser.parameters() if p.grad is not None])


@pytest.mark.parametrize("objective", [Mutual(strength=1.0), CountAlignment(kappa=20.0), WorstClass()])
def test_the_gradient_in_bfloat16_is_that_in_float32(objective: Objective, labels: LabelDistribution) -> None:
    denoiser, batch = network(), images()
    exact, rough = (gradient(objective, denoiser, batch, labels, half) for half in (False, True))
    assert exact.shape == rough.shape
    assert float((exact - rough).norm() / exact.norm()) < 0.05


def test_drawn_rows_keep_the_condition_of_their_own_row(labels: LabelDistribution) -> None:
    inner, batch = network(condition=3), images()
    extra = torch.randn(len(batch.y), 3, generator=seeded(4))
    index = torch.tensor([3, 3, 11, 0])
    with torch.no_grad():
        whole = Conditioned(inner, extra).predict(batch.x_t, batch.t, batch.y)
        part = Conditioned(inner, extra).rows(index).predict(batch.x_t[index], batch.t[index], batch.y[index])
    torch.testing.assert_close(part.eps, whole.eps[index])
    terms = Mutual(strength=1.0)(Conditioned(inner, extra), batch, labels, seeded())
    assert float(terms["pull"].detach().sum()) > 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"coupling": "null"}, "unknown coupling 'null'"),
        ({"coupling": "similar"}, "did you mean 'similarity'?"),
        ({"strength": -1.0}, "strength must be at least 0"),
        ({"width": 0.0}, "width must be above 0"),
        ({"weighting": "edn"}, "did you mean 'edm'?"),
        ({"rows": 2.0}, "rows must be above 0 to 1"),
    ],
)
def test_what_is_misspelt_or_out_of_range_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        Mutual(**settings)
    assert words in str(caught.value)
