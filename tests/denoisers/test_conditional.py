"""The exact conditional laws of a mixture against rejection, Bayes' rule and a case computed by hand."""

from __future__ import annotations

import pytest
import torch

from evenscore.denoisers.conditional import given, label_log_probability
from evenscore.denoisers.oracle import GaussianMixture
from evenscore.errors import UsageError
from evenscore.process import VP


@pytest.fixture
def mixture() -> GaussianMixture:
    means = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [1.0, -1.5]], dtype=torch.float64)
    covariances = torch.tensor([[[0.2, 0.1], [0.1, 0.2]], [[0.2, -0.1], [-0.1, 0.2]], [[0.1, 0.0], [0.0, 0.1]]])
    return GaussianMixture(VP(), means, covariances, [0, 1, 1], [1.0, 3.0, 1.0], class_weights=[0.6, 0.4])


def test_one_gaussian_by_hand() -> None:
    covariance = torch.tensor([[[2.0, 0.6], [0.6, 1.0]]])
    one = GaussianMixture(VP(), torch.tensor([[1.0, -1.0]]), covariance, [0])
    mean, found = given(one, torch.tensor([[1.0, 0.0]]), torch.tensor([2.0])).moments(0)
    torch.testing.assert_close(mean, torch.tensor([2.0, -1.0 + 0.3], dtype=torch.float64))
    expected = torch.tensor([[0.0, 0.0], [0.0, 1.0 - 0.18]], dtype=torch.float64)
    torch.testing.assert_close(found, expected, atol=1e-7, rtol=1e-7)


@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_it_is_what_rejection_keeps(mixture: GaussianMixture, angle: float) -> None:
    row = torch.tensor([[torch.tensor(angle).cos(), torch.tensor(angle).sin()]])
    random = torch.Generator().manual_seed(0)
    x = mixture.sample(torch.full((1_500_000,), mixture.null), random)
    near = x[((x @ row[0].double()) - 0.3).abs() < 0.02]
    law = given(mixture, row, torch.tensor([0.3]))
    mean, covariance = law.moments(law.null)
    error = 5 * (covariance.diagonal() / len(near)).sqrt() + 0.01
    assert bool(((near.mean(0) - mean).abs() < error).all())
    torch.testing.assert_close(near.T.cov(), covariance, atol=0.1, rtol=0)


def test_classes_and_the_null_label_are_reweighted_by_what_was_seen(mixture: GaussianMixture) -> None:
    law = given(mixture, torch.eye(2)[:1], torch.tensor([0.3]))
    shares = torch.stack([law.log_weights[2].exp()[:1].sum(), law.log_weights[2].exp()[1:].sum()])
    narrow = GaussianMixture(
        VP(), mixture.means[:, :1], torch.tensor([0.2, 0.2, 0.1]), [0, 1, 1], [1.0, 3.0, 1.0], class_weights=[0.6, 0.4]
    )
    t, x = torch.zeros(2, dtype=torch.float64), torch.full((2, 1), 0.3, dtype=torch.float64)
    torch.testing.assert_close(shares, label_log_probability(narrow, x, t, torch.tensor([0, 1])).exp())


def test_the_probabilities_of_the_classes_sum_to_one(mixture: GaussianMixture) -> None:
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    t = torch.linspace(0.01, 1, 50, dtype=torch.float64)
    total = sum(label_log_probability(mixture, x, t, torch.full((50,), k)).exp() for k in range(2))
    torch.testing.assert_close(total, torch.ones(50, dtype=torch.float64))
    assert not label_log_probability(mixture, x, t, torch.full((50,), 2)).any()


def test_what_cannot_be_conditioned_is_refused(mixture: GaussianMixture) -> None:
    with pytest.raises(UsageError, match=r"give \(k, 2\) and \(k,\)"):
        given(mixture, torch.eye(3), torch.zeros(3))
    with pytest.raises(UsageError, match="has no spread"):
        given(given(mixture, torch.eye(2)[:1], torch.zeros(1)), torch.eye(2)[:1], torch.zeros(1))
