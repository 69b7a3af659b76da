"""Equilibrium heads against direct sums, least squares, ridge regression, and each other."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from evenscore.denoisers.preconditioned import Preconditioned
from evenscore.errors import UsageError
from evenscore.games.coupling import uniform_law
from evenscore.games.equilibrium import equilibrium
from evenscore.games.head_moments import HeadRows, HeadSums, coupling_weight, head_rows, stiffness
from evenscore.games.heads import KEEP, HeadProblem, HeadSettings, fit_heads, game_of, settle
from evenscore.networks import build_network
from evenscore.networks.heads import last_layers, trunk_of
from evenscore.objectives import noised
from evenscore.objectives.denoising import denoising_loss
from evenscore.objectives.time_weight import reference_time
from evenscore.prediction import Prediction
from evenscore.process import VP

DIM, COUNTS, DRAWS, FOLDS = 3, (40, 12, 3), 30, 2
ALONE = HeadSettings(kappa=0.0)


def toy() -> Preconditioned:
    """An untrained network: its features are random, its last layer a little off zero."""
    random = torch.Generator().manual_seed(0)
    net = build_network("tiny", (DIM,), len(COUNTS))
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.05 * torch.randn(p.shape, generator=random))
    return Preconditioned(net, VP(), len(COUNTS), (DIM,), torch.tensor([0.1, -0.2, 0.0]), torch.tensor([0.4, 0.9, 1.5]))


def rows_of(denoiser: Preconditioned, k: int, fold: int, seed: int = 0) -> tuple[HeadRows, tuple[Tensor, ...]]:
    random = torch.Generator().manual_seed(100 * seed + 10 * k + fold)
    n = DRAWS * COUNTS[k] // FOLDS
    near = 0.3 * torch.randn(max(1, COUNTS[k] // FOLDS), DIM, generator=random)
    x0 = (torch.tensor([1.0, -1.0, 0.5]) * (k - 1) + near).repeat(DRAWS, 1)[:n]
    t, eps = 0.02 + 0.96 * torch.rand(len(x0), generator=random), torch.randn(x0.shape, generator=random)
    y = torch.full((len(x0),), k)
    return head_rows(denoiser, x0, y, t, eps), (x0, y, t, eps)


def problem(denoiser: Preconditioned, seed: int = 0, classes: int = len(COUNTS)) -> HeadProblem:
    trained = last_layers(trunk_of(denoiser.backbone), torch.arange(classes))
    sums = HeadSums.empty(classes, FOLDS, *trained.shape[1:])
    for k in range(classes):
        for fold in range(FOLDS):
            for part in range(2):  # in two parts: sums add up
                rows, _ = rows_of(denoiser, k, fold, seed)
                half = slice(part * (len(rows.features) // 2), None if part else len(rows.features) // 2)
                sums.add(k, fold, HeadRows(rows.features[half], rows.target[half], rows.omega[half]))
    return HeadProblem(sums, trained, COUNTS[:classes], uniform_law(classes), stiffness(denoiser, "reference"))


def test_the_raw_target_makes_denoising_least_squares() -> None:
    denoiser = toy()
    rows, (x0, y, t, eps) = rows_of(denoiser, 1, 0)
    batch = noised(denoiser.process, x0, y, y, t, eps)
    expected = denoising_loss(denoiser, denoiser.predict(batch.x_t, t, y), batch, "edm")
    head = last_layers(trunk_of(denoiser.backbone), y[:1])[0]
    found = (rows.features @ head.T - rows.target).square().mean(1)
    torch.testing.assert_close(found, expected.double(), rtol=1e-3, atol=1e-5)


def test_the_coupling_is_that_of_noise_predictions() -> None:
    denoiser = toy()
    denoiser.std.fill_(0.7)
    rows, (x0, y, t, eps) = rows_of(denoiser, 0, 0)
    batch = noised(denoiser.process, x0, y, y, t, eps)
    a, b = (
        torch.randn(DIM, rows.features.shape[1], generator=torch.Generator().manual_seed(s)).double() for s in (1, 2)
    )
    raw = [(rows.features @ head.T).float() for head in (a, b)]
    eps_a, eps_b = (
        Prediction.from_raw(r, batch.x_t, t, denoiser.process, denoiser.mean, denoiser.std).eps for r in raw
    )
    expected = reference_time(denoiser.process.log_snr(t))[:, None] * (eps_a - eps_b).square()
    found = rows.omega[:, None] * (raw[0] - raw[1]).double().square()
    torch.testing.assert_close(found, expected.double(), rtol=1e-3, atol=1e-6)
    assert float(coupling_weight(denoiser, torch.tensor([denoiser.process.t_min]), "reference")) < 1e-2


def test_sums_equal_a_direct_computation() -> None:
    denoiser = toy()
    given = problem(denoiser)
    moments = given.sums.moments(COUNTS, 1.0)
    left = given.sums.moments(COUNTS, 1.0, without=1)
    for k in range(len(COUNTS)):
        both = [rows_of(denoiser, k, fold)[0] for fold in range(FOLDS)]
        for rows, found in ((both, moments), (both[:1], left)):
            phi, aim, omega = (torch.cat([getattr(r, name) for r in rows]) for name in ("features", "target", "omega"))
            n = len(phi)
            torch.testing.assert_close(found.data[k], phi.T @ phi / n, rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(found.target[k], aim.T @ phi / n, rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(found.own[k], phi.T @ torch.diag(omega) @ phi / n, rtol=1e-11, atol=1e-12)
            assert float(found.constant[k]) == pytest.approx(float(aim.square().sum() / n))
            assert torch.equal(found.cross[k, 0], found.own[k])
        expected = (both[1].features @ given.trained[k].T - both[1].target).square().mean()
        assert float(given.sums.losses(given.trained, 1)[k]) == pytest.approx(float(expected), rel=1e-9)


@pytest.mark.parametrize("k0", [1e-3, 1.0, 50.0])
def test_one_player_is_ridge_regression(k0: float) -> None:
    denoiser = toy()
    given = problem(denoiser, classes=1)
    heads = fit_heads(given, replace(ALONE, metric="plain", k0=k0))
    rows = [rows_of(denoiser, 0, fold)[0] for fold in range(FOLDS)]
    phi, aim = (torch.cat([getattr(r, name) for r in rows]) for name in ("features", "target"))
    mu = (k0 / COUNTS[0] + 1e-8) * float(phi.square().sum(1).mean() / phi.shape[1])
    fitted = Ridge(alpha=mu * len(phi), fit_intercept=False, solver="svd").fit(phi, aim - phi @ given.trained[0].T)
    torch.testing.assert_close(heads.profile[0] - given.trained[0], torch.tensor(fitted.coef_), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("metric", ["pooled", "plain"])
def test_the_two_ends_of_k0(metric: str) -> None:
    denoiser = toy()
    given = problem(denoiser)
    none = fit_heads(given, replace(ALONE, metric=metric, k0=0.0))
    rows = [rows_of(denoiser, 0, fold)[0] for fold in range(FOLDS)]
    phi, aim = (torch.cat([getattr(r, name) for r in rows]) for name in ("features", "target"))
    best = torch.linalg.lstsq(phi, aim, driver="gelsd").solution
    square = float((phi @ best - aim).square().mean())
    assert float(given.sums.losses(none.profile)[0]) == pytest.approx(square, rel=1e-3)
    for strong in (replace(ALONE, metric=metric, k0=1e12), HeadSettings(metric=metric, k0=1e12, beta=1.0)):
        torch.testing.assert_close(fit_heads(given, strong).profile, given.trained, rtol=0, atol=1e-8)


@pytest.mark.parametrize("how", [ALONE, HeadSettings(beta=0.1, k0=1.0), HeadSettings(beta=3.0, kappa=2.0, k0=0.1)])
def test_no_class_gains_by_itself_at_the_solution(how: HeadSettings) -> None:
    heads = fit_heads(problem(toy()), how)
    assert float(heads.before.min()) > 1e-4
    assert float(heads.after.abs().max()) <= 1e-16 * float(heads.before.max()) + 1e-20
    assert (heads.stability > 0) is (how.beta + how.kappa > 0)


def test_iterated_responses_end_at_the_joint_solution() -> None:
    game, root = game_of(problem(toy()), HeadSettings(beta=0.5), 1.0)
    torch.testing.assert_close(settle(game), equilibrium(game).profile, rtol=1e-8, atol=1e-9)
    there = root @ torch.linalg.inv(root)
    torch.testing.assert_close(there, torch.eye(len(root), dtype=torch.float64), rtol=0, atol=1e-5)


def test_coupling_moves_heads_towards_each_other() -> None:
    given = problem(toy())
    apart = [
        float(torch.pdist(fit_heads(given, HeadSettings(k0=1.0, kappa=0.0, beta=beta)).profile.flatten(1)).max())
        for beta in (0.0, 1.0, 10.0)
    ]
    assert apart[0] > apart[1] > apart[2]


def test_heads_that_matter_win_on_samples_left_out_and_on_others() -> None:
    denoiser = toy()
    given, other = problem(denoiser), problem(denoiser, seed=7)
    heads = fit_heads(given, HeadSettings())
    assert heads.helps
    assert heads.scores[heads.k0] == min(heads.scores.values()) < 0.8 * heads.scores[KEEP]
    assert float(other.sums.losses(heads.profile).mean()) < 0.8 * float(other.sums.losses(given.trained).mean())
    torch.testing.assert_close(heads.held_out_trained, given.sums.losses(given.trained), rtol=1e-9, atol=0)


def test_a_trained_layer_that_is_right_is_kept() -> None:
    denoiser = toy()
    best = fit_heads(problem(denoiser, seed=7), replace(ALONE, k0=0.1)).profile
    given = problem(denoiser)
    right = replace(given, trained=(best + fit_heads(given, replace(ALONE, k0=0.1)).profile) / 2)
    heads = fit_heads(right, ALONE, grid=(1e-3,))
    assert not heads.helps
    assert fit_heads(right, replace(ALONE, k0=1e-3)).helps, "what was asked for is used"


def test_a_class_of_one_sample_is_not_scored() -> None:
    denoiser = toy()
    given = problem(denoiser)
    for name in ("rows", "data", "target", "constant", "own"):
        getattr(given.sums, name)[2, 1] = 0
    heads = fit_heads(replace(given, counts=(40, 12, 1)), HeadSettings())
    assert math.isnan(float(heads.held_out[2]))
    assert bool(heads.held_out[:2].isfinite().all())
    assert bool(heads.profile.isfinite().all())


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [("law", "unifrom", "did you mean 'uniform'"), ("k0", -1.0, "at least 0 and finite"), ("folds", 1, "at least 2")],
)
def test_settings_are_checked(key: str, value: object, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        HeadSettings(**{key: value})  # type: ignore[arg-type]
