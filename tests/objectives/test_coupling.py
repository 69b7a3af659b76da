"""The coupling: its value by hand, its estimates in expectation, where its gradients go, and its law by similarity."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from evenscore.denoisers.base import Denoiser
from evenscore.errors import UsageError
from evenscore.labels import LabelDistribution
from evenscore.objectives import ClassMoments, Noised, noised
from evenscore.objectives.coupling import LAWS, RAMP, Coupling, draw_rows, similarity
from evenscore.objectives.time_weight import TIME_WEIGHTS
from evenscore.prediction import Prediction
from evenscore.process import OU

DRAWS = 1500
SIMILAR = torch.tensor(
    [[0.0, 0.2, 0.05, 0.0], [0.2, 0.0, 0.1, 0.0], [0.05, 0.1, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]], dtype=torch.float64
)


def seeded(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def terms_of(
    coupling: Coupling, denoiser: Denoiser, batch: Noised, labels: LabelDistribution, random: torch.Generator
) -> dict[str, Tensor]:
    prediction = denoiser.predict(batch.x_t, batch.t, batch.y_in)
    return coupling(denoiser, prediction, batch, labels, random)


@torch.no_grad()
def by_hand(coupling: Coupling, denoiser: Denoiser, batch: Noised, law: Tensor, counts: tuple[int, ...]) -> list[float]:
    """The full pull of each row under the law (K, K), one pair of predictions at a time."""
    found = []
    for i in range(len(batch.y)):
        x, t, y = batch.x_t[i : i + 1], batch.t[i : i + 1], int(batch.y[i])
        h = denoiser.predict(x, t, batch.y[i : i + 1]).eps
        others = [denoiser.predict(x, t, torch.tensor([k])).eps for k in range(len(counts))]
        gap = sum(float(law[y, k]) * float((h - other).square().mean()) for k, other in enumerate(others))
        strength = coupling.strength / (counts[y] if coupling.strength_rule == "by-count" else 1)
        level = float(TIME_WEIGHTS[coupling.time_weight](denoiser.process.log_snr(t)))
        found.append(strength * level * gap * float(batch.y_in[i] == y))
    return found


@pytest.fixture
def uniform() -> Tensor:
    return (1 - torch.eye(4, dtype=torch.float64)) / 4


class Listening(Denoiser):
    """A denoiser that writes down what it was asked, and whether with a gradient."""

    def __init__(self, inner: Denoiser) -> None:
        super().__init__()
        self.inner = inner
        self.process, self.num_classes, self.shape = inner.process, inner.num_classes, inner.shape
        self.asked: list[tuple[int, bool]] = []

    def forward(self, x_t: Tensor, t: Tensor, y: Tensor) -> Prediction:
        self.asked.append((len(y), torch.is_grad_enabled()))
        return self.inner.predict(x_t, t, y)


def test_the_time_weights_are_those_of_the_ornstein_uhlenbeck_process() -> None:
    process = OU()
    t = torch.linspace(1e-4, 1, 200, dtype=torch.float64)
    s, level = process.horizon * t, process.log_snr(t)
    torch.testing.assert_close(TIME_WEIGHTS["paper"](level), s.exp() / process.sigma(t).square(), rtol=1e-10, atol=0)
    torch.testing.assert_close(TIME_WEIGHTS["vanishing"](level), s.expm1(), rtol=1e-10, atol=0)
    assert float(TIME_WEIGHTS["vanishing"](torch.tensor(40.0))) < 1e-8, "it vanishes where there is no noise"
    assert float(TIME_WEIGHTS["paper"](torch.tensor(12.0))) > 1e5, "the published one does not"


@pytest.mark.parametrize("rule", ["constant", "by-count"])
@pytest.mark.parametrize("time_weight", TIME_WEIGHTS)
def test_the_enumerated_pull_by_hand(
    affine: Denoiser, batch: Noised, labels: LabelDistribution, uniform: Tensor, rule: str, time_weight: str
) -> None:
    coupling = Coupling("uniform-enumerated", 0.7, rule, time_weight, gamma=0.5)
    found = terms_of(coupling, affine, batch, labels, seeded())
    expected = by_hand(coupling, affine, batch, uniform, labels.counts)
    assert found["pull"].tolist() == pytest.approx(expected, rel=1e-9)
    assert found["commitment"].tolist() == pytest.approx([0.5 * value for value in expected], rel=1e-9)


def assert_mean(draws: list[Tensor], expected: Tensor) -> None:
    """The mean of the draws is the expected value, within 4 standard errors of 5 % at most."""
    values = torch.stack(draws).detach()
    error = float(values.std()) / math.sqrt(len(draws))
    assert abs(float(values.mean() - expected)) <= 4 * error + 1e-12
    assert error <= 0.05 * float(expected) + 1e-12


@pytest.mark.parametrize(
    ("law", "matrix"),
    [
        ("uniform", torch.full((4, 4), 0.25, dtype=torch.float64)),
        ("train", torch.tensor([50, 20, 5, 1], dtype=torch.float64).expand(4, 4) / 76),
        ("similarity", SIMILAR),
    ],
)
@pytest.mark.parametrize("rows", [1.0, 0.3])
def test_drawn_labels_and_drawn_rows_have_the_full_pull_as_their_mean(
    affine: Denoiser, batch: Noised, labels: LabelDistribution, law: str, matrix: Tensor, rows: float
) -> None:
    coupling = Coupling(law, 0.7, "by-count", "vanishing", rows=rows, similar=SIMILAR)
    expected = torch.tensor(by_hand(coupling, affine, batch, matrix, labels.counts), dtype=torch.float64)
    pulls = [terms_of(coupling, affine, batch, labels, seeded(seed))["pull"] for seed in range(DRAWS)]
    assert_mean([pull.mean() for pull in pulls], expected.mean())
    if rows == 1:
        for i in range(len(batch.y)):
            assert_mean([pull[i] for pull in pulls], expected[i])


@pytest.mark.parametrize("rows", [0.1, 0.5, 0.9])
def test_a_part_of_the_rows_has_the_full_value_as_its_mean_where_the_other_label_is_fixed(
    affine: Denoiser, batch: Noised, labels: LabelDistribution, rows: float
) -> None:
    full = terms_of(Coupling("null", 2.0, gamma=0.3), affine, batch, labels, seeded())
    part = Coupling("null", 2.0, gamma=0.3, rows=rows)
    found = [terms_of(part, affine, batch, labels, seeded(seed)) for seed in range(DRAWS)]
    for name in ("pull", "commitment"):
        assert_mean([terms[name].mean() for terms in found], full[name].detach().mean())


def test_rows_are_drawn_as_often_as_their_weight_says() -> None:
    weight = torch.tensor([0.0, 1.0, 3.0, 0.0, 0.5, 5.5, 0.0])
    counts = torch.stack(
        [torch.bincount(draw_rows(weight, 4 / 7, seeded(s))[0], minlength=7) for s in range(DRAWS)]
    ).double()
    expected = 4 * weight.double() / weight.sum()
    assert bool((counts >= expected.floor()).all())
    assert bool((counts <= expected.ceil()).all())
    assert float((counts.mean(0) - expected).abs().max()) < 4 * 0.5 / math.sqrt(DRAWS)
    index, share = draw_rows(weight, 0.5, seeded())
    assert len(index) == 4
    assert float(share) == pytest.approx(10 / 4)


def test_no_weight_at_all_draws_rows_that_count_nothing() -> None:
    index, share = draw_rows(torch.zeros(5), 0.5, seeded())
    assert int(index.max()) < 5
    assert float(share) == 0


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("rows", [1.0, 0.5])
def test_rows_without_their_label_are_not_pulled(
    affine: Denoiser, batch: Noised, labels: LabelDistribution, law: str, rows: float
) -> None:
    coupling = Coupling(law, gamma=0.5, rows=rows, similar=SIMILAR)
    for term in terms_of(coupling, affine, batch, labels, seeded()).values():
        assert term[~batch.kept].tolist() == [0, 0]
        assert float(term.detach().sum()) > 0


def test_the_pull_moves_the_own_prediction_only_and_the_commitment_the_other_only(
    affine: Denoiser, batch: Noised, labels: LabelDistribution
) -> None:
    own = torch.zeros_like(batch.y)
    mine = noised(affine.process, batch.x0, own, own, batch.t, batch.eps)
    bias = affine.bias
    assert isinstance(bias, Tensor)
    for rows in (1.0, 0.5):
        terms = terms_of(Coupling("uniform-enumerated", gamma=0.5, rows=rows), affine, mine, labels, seeded())
        (pull,) = torch.autograd.grad(terms["pull"].sum(), bias, retain_graph=True)
        (commitment,) = torch.autograd.grad(terms["commitment"].sum(), bias)
        assert float(pull[0].abs().min()) > 0
        assert float(pull[1:].abs().max()) == 0
        assert float(commitment[0].abs().max()) == 0
        assert float(commitment[1:4].abs().min()) > 0


@pytest.mark.parametrize("classes", [4, 1000])
def test_without_a_commitment_others_are_evaluated_on_few_rows_without_a_gradient(
    affine: Denoiser, batch: Noised, classes: int
) -> None:
    many = LabelDistribution((50, 20, 5, 1) + (0,) * (classes - 4))
    for gamma, with_gradient in ((0.0, False), (0.5, True)):
        listening = Listening(affine)
        terms_of(Coupling("uniform", gamma=gamma, rows=0.25), listening, batch, many, seeded())
        assert listening.asked == [(8, True), (2, with_gradient)]


def test_a_coupling_that_starts_late_grows_to_its_full_strength(
    affine: Denoiser, batch: Noised, labels: LabelDistribution
) -> None:
    full = terms_of(Coupling("null"), affine, batch, labels, seeded())["pull"]
    for progress, share in ((0.0, 0.0), (0.5, 0.0), (0.5 + RAMP / 2, 0.5), (0.5 + RAMP, 1.0), (1.0, 1.0)):
        late = Noised(*list(vars(batch).values())[:6], progress=progress)
        found = terms_of(Coupling("null", start=0.5), affine, late, labels, seeded())
        if share == 0:
            assert found == {}
        else:
            torch.testing.assert_close(found["pull"], share * full, rtol=1e-12, atol=0)
    early = Noised(*list(vars(batch).values())[:6], progress=0.0)
    assert torch.equal(terms_of(Coupling("null"), affine, early, labels, seeded())["pull"], full)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_terms_have_the_type_of_the_batch(
    affine: Denoiser, batch: Noised, labels: LabelDistribution, dtype: torch.dtype
) -> None:
    narrow = noised(affine.process, batch.x0.to(dtype), batch.y, batch.y_in, batch.t.to(dtype), batch.eps.to(dtype))
    for rows in (1.0, 0.5):
        terms = terms_of(Coupling("null", gamma=0.1, rows=rows), affine.to(dtype), narrow, labels, seeded())
        assert {term.dtype for term in terms.values()} == {dtype}


def moments(means: list[list[float]], counts: tuple[int, ...], within: Tensor | None = None) -> ClassMoments:
    place = torch.tensor(means, dtype=torch.float64)
    return ClassMoments(place, counts, torch.eye(place.shape[1], dtype=torch.float64) if within is None else within)


def test_the_similarity_by_hand() -> None:
    law = similarity(moments([[0.0], [3.0], [4.0]], (1000, 500, 200)), width=2.0)
    square = {(0, 1): 9 - 1 / 1000 - 1 / 500, (0, 2): 16 - 1 / 1000 - 1 / 200, (1, 2): 1 - 1 / 500 - 1 / 200}
    unit = square[1, 2]
    for (i, j), value in square.items():
        assert float(law[i, j]) == pytest.approx(math.exp(-value / (2 * 4 * unit)) / 3, rel=1e-4)
    assert torch.equal(law, law.T)
    assert law.diagonal().tolist() == [0, 0, 0]


def test_a_lonely_class_is_left_alone_and_one_of_the_same_law_is_near_whatever_its_count() -> None:
    law = similarity(moments([[0.0, 0.0], [1.0, 0.0], [0.9, 0.9], [60.0, 0.0]], (500, 400, 300, 200)), width=1.0)
    assert float(law[3].sum()) < 1e-12
    assert float(law[:3, :3].sum()) > 0.5
    small = similarity(moments([[0.0], [0.5], [8.0]], (500, 3, 500)), width=1.0)
    assert float(small[0, 1]) == pytest.approx(1 / 3), "the mean of three samples is wrong by more than 0.5"


def test_the_similarity_is_measured_in_the_covariance_inside_the_classes() -> None:
    random = torch.Generator().manual_seed(1)
    means, mix = (torch.randn(n, 3, generator=random, dtype=torch.float64) for n in (5, 3))
    plain = similarity(ClassMoments(means, (90,) * 5, torch.eye(3, dtype=torch.float64)), 1.0)
    mixed = similarity(ClassMoments(means @ mix.T, (90,) * 5, mix @ mix.T), 1.0)
    torch.testing.assert_close(plain, mixed, rtol=1e-3, atol=1e-8)


def test_classes_of_one_law_or_without_samples_are_no_trouble() -> None:
    same = similarity(moments([[1.0], [1.0], [1.0]], (5, 5, 0)), width=1.0)
    assert same.tolist() == [[0, 1 / 3, 0], [1 / 3, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"law": "unifrom"}, "unknown coupling 'unifrom': did you mean 'uniform'?"),
        ({"strength_rule": "by-cout"}, "did you mean 'by-count'?"),
        ({"time_weight": "vanish"}, "unknown time_weight 'vanish'"),
        ({"rows": 0.0}, "rows must be above 0 to 1"),
        ({"start": 1.0}, "start must be from 0 to below 1"),
        ({"gamma": -1.0}, "gamma must be at least 0"),
    ],
)
def test_what_is_misspelt_or_out_of_range_is_refused(settings: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        Coupling(**settings)  # type: ignore[arg-type]
    assert words in str(caught.value)


def test_similarity_without_the_data_is_refused(affine: Denoiser, batch: Noised, labels: LabelDistribution) -> None:
    with pytest.raises(UsageError, match="was not told where the classes lie: bind the objective to the training data"):
        terms_of(Coupling("similarity"), affine, batch, labels, seeded())
