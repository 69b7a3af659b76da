"""Mixtures: right on clusters, no worse than scikit-learn's, and only where a Gaussian is clearly behind."""

from __future__ import annotations

import torch
from sklearn.mixture import GaussianMixture

from evenscore.process import VP
from evenscore.vectors.laws import fit_laws
from evenscore.vectors.mixtures import fit_mixture

GENERATOR = torch.Generator().manual_seed(0)


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


def clusters(n: int) -> torch.Tensor:
    """Three clusters of different shapes, unequal."""
    where = torch.multinomial(torch.tensor([0.6, 0.3, 0.1]), n, replacement=True, generator=GENERATOR)
    centres = torch.tensor([[0.0, 0.0], [4.0, 4.0], [-5.0, 5.0]], dtype=torch.float64)
    spread = torch.tensor([[1.0, 0.3], [0.4, 1.2], [0.5, 0.5]], dtype=torch.float64)
    return centres[where] + spread[where] * randn(n, 2)


def test_a_mixture_finds_clusters_as_scikit_learn_does() -> None:
    rows, unseen = clusters(3000), clusters(3000)
    found = fit_mixture(rows, 3, rows.T.cov(), 1.0, seed=0)
    peer = GaussianMixture(3, random_state=0, n_init=3).fit(rows.numpy())
    assert abs(float(found.log_density(unseen).mean()) - peer.score(unseen.numpy())) < 0.01
    assert sorted(round(w, 1) for w in found.weights.tolist()) == [0.1, 0.3, 0.6]
    means, covariances = found.laws()
    torch.testing.assert_close((found.weights[:, None] * means).sum(0), rows.mean(0))
    whole = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(found.weights), torch.distributions.MultivariateNormal(means, covariances)
    )
    torch.testing.assert_close(whole.log_prob(unseen), found.log_density(unseen))


def test_one_part_has_the_moments_of_the_rows() -> None:
    rows = randn(500, 3) @ randn(3, 3)
    means, covariances = fit_mixture(rows, 1, rows.T.cov(), 1e-9, seed=0).laws()
    torch.testing.assert_close(means[0], rows.mean(0))
    torch.testing.assert_close(covariances[0], rows.T.cov(), rtol=5e-3, atol=5e-3)


def test_rows_on_a_plane_are_fitted() -> None:
    flat = torch.cat([clusters(400), torch.zeros(400, 1)], 1) @ randn(3, 3)
    covariance = flat.T.cov() + 1e-9 * torch.eye(3)
    assert bool(fit_mixture(flat, 4, covariance, 3.0, seed=0).log_density(flat).isfinite().all())


def test_a_class_is_a_mixture_only_where_a_gaussian_is_clearly_behind() -> None:
    samples = [clusters(600), randn(600, 2) @ randn(2, 2), clusters(30)]
    fitted = fit_laws(samples, VP(), seed=0)
    parts = torch.bincount(fitted.owners)
    assert parts.tolist()[1:] == [1, 1]
    assert int(parts[0]) >= 3
    assert fit_laws(samples, VP(), seed=0, wanted=[1, 2]).owners.tolist() == [0, 1, 2]
    drawn = fitted.draw(torch.zeros(4000, dtype=torch.int64), 0, range(4000))
    mean, error = samples[0].mean(0), (samples[0].var(0) / 4000).sqrt()
    assert float(((drawn.mean(0) - mean) / error).abs().max()) < 4
    torch.testing.assert_close(drawn.T.cov(), samples[0].T.cov(), rtol=0.15, atol=0.3)


def test_the_fit_is_a_function_of_rows_and_seed() -> None:
    rows = clusters(200)
    one, two = (fit_laws([rows, rows + 1], VP(), seed=3).state_dict() for _ in range(2))
    assert all(torch.equal(one[key], two[key]) for key in one)
