"""Populations, neighbours, laws, and the rules that fit all classes."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks.games import divergences, flow_log_density
from benchmarks.nash_cases import CASES, problem_of
from evenscore.errors import UsageError
from evenscore.games import (
    Anchored,
    ClassGaussians,
    Grid,
    Mutual,
    PartialPooling,
    Problem,
    Ridge,
    corollary,
    noisy_similarity_law,
    paper_smoothness,
    population,
    similarity_law,
    train_law,
    uniform_law,
)
from evenscore.games.neighbours import neighbourhood
from evenscore.games.population import hyper_means, shrunk_means
from evenscore.labels import LabelDistribution
from evenscore.likelihood import Likelihood, log_prob
from evenscore.random import generator


def draw(means: torch.Tensor, counts: list[int], seed: int) -> list[torch.Tensor]:
    random = generator(seed, "draw")
    return [
        m + torch.randn(n, len(m), generator=random, dtype=torch.float64) for m, n in zip(means, counts, strict=True)
    ]


def test_shrunken_means_are_the_conjugate_posterior() -> None:
    counts, prior = torch.tensor([4.0, 9.0]), torch.tensor([[0.5]], dtype=torch.float64)
    own = torch.tensor([[1.0], [3.0]], dtype=torch.float64)
    found = shrunk_means(own, counts.double(), torch.ones(1, 1).double(), torch.zeros(1).double(), prior)
    precise = own[:, 0] * counts / (counts + 1 / 0.5)
    torch.testing.assert_close(found[:, 0], precise.double(), rtol=1e-8, atol=1e-8)


def test_small_classes_of_one_population_are_located_better_than_by_their_own_means() -> None:
    """Fifty classes from 500 to 2 samples: far nearer than sample means, and near the estimate that knows the prior."""
    counts = [round(500 * (2 / 500) ** (k / 49)) for k in range(50)]
    n, own_error, found_error, oracle_error = torch.tensor(counts).double(), 0.0, 0.0, 0.0
    covered = []
    for seed in range(12):
        truth = 0.6 * torch.randn(50, 2, generator=generator(seed, "truth"), dtype=torch.float64)
        samples = draw(truth, counts, seed)
        members = population(samples)
        own = torch.stack([x.mean(0) for x in samples])
        eye = torch.eye(2, dtype=torch.float64)
        oracle = shrunk_means(own, n, eye, torch.zeros(2, dtype=torch.float64), 0.36 * eye)
        tail = n < 6
        own_error += float((own - truth)[tail].square().mean())
        found_error += float((members.means - truth)[tail].square().mean())
        oracle_error += float((oracle - truth)[tail].square().mean())
        total = members.between + members.within / n[:, None, None]
        spread = (members.between - members.between @ torch.linalg.solve(total, members.between)).diagonal(
            dim1=1, dim2=2
        )
        covered.append(((members.means - truth).abs() <= 1.645 * spread.sqrt()).double().mean())
    assert found_error <= 0.6 * own_error
    assert found_error <= 1.08 * oracle_error
    assert 0.85 <= float(torch.stack(covered).mean()) <= 0.94


def test_the_population_of_equal_classes_has_nothing_between() -> None:
    samples = draw(torch.zeros(20, 2, dtype=torch.float64), [30] * 20, 0)
    own = torch.stack([x.mean(0) for x in samples])
    _, between = hyper_means(own, torch.full((20,), 30.0, dtype=torch.float64), torch.eye(2, dtype=torch.float64))
    assert float(between.diagonal().max()) < 0.03


def test_a_class_leans_on_near_ones_and_a_lonely_one_does_not() -> None:
    means = torch.tensor([[0.0, 0.0], [0.3, 0.0], [0.1, 0.2], [90.0, 0.0], [0.0, 90.0]], dtype=torch.float64)
    samples = draw(means, [400, 300, 5, 5, 200], 1)
    members = population(samples)
    own = torch.stack([x.mean(0) for x in samples])
    found = neighbourhood(own, torch.tensor([len(x) for x in samples]).double(), members)
    assert float((found.means[2] - own[2]).norm()) > 0.05
    assert float((found.means[3] - own[3]).norm()) < 0.05
    assert float(found.shares[2, :2].sum()) > 0.7
    torch.testing.assert_close(found.shares.diagonal(), torch.zeros(5, dtype=torch.float64))


def test_laws() -> None:
    assert float(uniform_law(4).sum()) == pytest.approx(3.0)
    torch.testing.assert_close(train_law(LabelDistribution((6, 3, 1)))[2], torch.tensor([0.6, 0.3, 0.0]).double())
    means = torch.tensor([[0.0], [1.0], [100.0]])
    near = similarity_law(means, 1.0)
    assert float(near[0, 1]) == pytest.approx(math.exp(-0.5) / 3)
    assert float(near[2].sum()) == 0.0
    noisy = noisy_similarity_law(means, [2, 2, 500], torch.eye(1))
    assert float(noisy[0, 1]) == pytest.approx(1 / 3)


@pytest.mark.parametrize("rule", [Mutual(beta=0.1), PartialPooling(), ClassGaussians(), Anchored()], ids=str)
def test_every_rule_fits_a_class_that_is_easy(rule: Mutual) -> None:
    problem = problem_of(CASES["mu 1"], 0)
    model = rule(problem)
    assert model.profile.shape[0] == 2
    assert float(divergences(model, CASES["mu 1"].laws(0), problem.grid).max()) < 0.4


def test_the_anchored_game_stays_at_the_gaussians_when_the_ridge_is_large() -> None:
    problem = problem_of(CASES["mu 1"], 0)
    firm = Anchored(Mutual(ridge=Ridge(k0=1e9)), "population")(problem)
    torch.testing.assert_close(firm.profile, ClassGaussians()(problem).profile, rtol=0, atol=1e-5)


def test_the_flow_of_the_instrument_is_the_one_of_the_library() -> None:
    problem = problem_of(CASES["equal means"], 0)
    model = Anchored()(problem)
    grid = problem.grid
    x = torch.linspace(-5, 5, 21, dtype=torch.float64)[:, None]
    found = flow_log_density(model, torch.stack([x, x]), grid, 400)[1]

    class Stopped(type(grid.process)):  # type: ignore[misc]
        t_min = grid.stop / grid.horizon

    model.process = Stopped(grid.horizon)
    exact = log_prob(model, x, torch.ones(21, dtype=torch.int64), how=Likelihood(tolerance=1e-6, divergence="exact"))
    assert float((found - exact).abs().max()) < 0.02


def test_partial_pooling_refuses_features_that_differ() -> None:
    problem = problem_of(CASES["mu 1"], 0, sharing="independent")
    with pytest.raises(UsageError, match="sharing=shared"):
        PartialPooling()(problem)


def test_the_corollary_scales_as_stated() -> None:
    found = corollary(0.1, 2, 0.01)
    assert found.features == 100
    assert found.beta == 0.1
    assert found.horizon == pytest.approx(math.log(20) / 2)
    assert found.kappa * found.intervals == pytest.approx(found.horizon + math.log(100))
    with pytest.raises(UsageError):
        corollary(0.0, 2, 0.01)


def test_the_papers_smoothness_bound_exceeds_the_true_one_many_times() -> None:
    problem = problem_of(CASES["mu 1"], 0, sharing="independent")
    game = Mutual(beta=0.01, ridge=Ridge(fixed=1e-8, k0=0)).game(problem, problem.plain[1])
    bound = paper_smoothness(problem.random, problem.grid, problem.weights, 0.01, torch.cat(problem.samples))
    assert 10 < bound / game.smoothness() < 2000


def test_the_grid_follows_its_rule() -> None:
    times = Grid(3.0, 0.01, 0.3).times()
    assert float(times[0]) == 0.01
    assert float(times[-1]) == 3.0
    steps = times.diff()
    assert bool((steps <= 0.3 * times[:-1].clamp_max(1) + 1e-12).all())
    with pytest.raises(UsageError):
        Grid(1.0, 2.0, 0.1)


def test_problems_refuse_samples_that_do_not_fit() -> None:
    with pytest.raises(UsageError, match="give"):
        Problem([torch.zeros(0, 2), torch.zeros(3, 2)], 8, 0).plain  # noqa: B018
