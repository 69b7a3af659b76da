"""Training of a noise-conditional classifier: what it learns, and that an interruption leaves no trace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from evenscore.data import Dataset
from evenscore.denoisers.conditional import label_log_probability
from evenscore.denoisers.oracle import GaussianMixture
from evenscore.errors import RunError, UsageError
from evenscore.process import VP
from evenscore.run import DataCard
from evenscore.training.classifier import ClassifierConfig, fit_noisy_classifier, load_noisy_classifier

QUICK = ClassifierConfig(steps=6, batch_size=16, save_every=3)


def points(counts: tuple[int, int]) -> tuple[Dataset, GaussianMixture]:
    """Two round clouds of unequal size, and their exact law."""
    means = torch.tensor([[-0.5, 0.0], [0.5, 0.2]])
    law = GaussianMixture.isotropic(VP(), means, [0.4, 0.3], [0, 1], class_weights=[float(n) for n in counts])
    y = torch.repeat_interleave(torch.arange(2), torch.tensor(counts))
    x = law.sample(y, torch.Generator().manual_seed(0)).float()
    return Dataset.from_arrays(x.numpy(), y.numpy()), law


def test_it_learns_the_exact_probabilities_under_the_law_of_the_data() -> None:
    data, law = points((1800, 200))
    classifier = fit_noisy_classifier(data, ClassifierConfig(steps=250, noise="uniform", lr=3e-3))
    random = torch.Generator().manual_seed(1)
    y = torch.full((2000,), law.null)
    t = torch.linspace(0.05, 0.95, 2000)
    x_t = law.process.perturb(law.sample(y, random).float(), t, torch.randn(2000, 2, generator=random))
    rare = torch.ones(2000, dtype=torch.int64)
    found, exact = classifier(x_t, t, rare).exp(), label_log_probability(law, x_t, t, rare).exp()
    assert float((found - exact).abs().mean()) < 0.04
    assert abs(float(found.mean()) - 0.1) < 0.03


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path, digits: Dataset) -> None:
    whole = fit_noisy_classifier(digits, QUICK, tmp_path / "whole")
    asked = iter([False] * 4 + [True] * 9)
    fit_noisy_classifier(digits, QUICK, tmp_path / "broken", lambda: next(asked))
    resumed = fit_noisy_classifier(digits, QUICK, tmp_path / "broken")
    for (key, one), other in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other), key
    loaded = load_noisy_classifier(DataCard.of(digits), tmp_path / "broken")
    x, t = digits.tensor([0, 1, 2]), torch.tensor([0.1, 0.5, 0.9])
    assert torch.equal(loaded.log_probabilities(x, t), whole.log_probabilities(x, t))


def test_a_classifier_of_other_data_or_settings_is_refused(tmp_path: Path, digits: Dataset) -> None:
    fit_noisy_classifier(digits, QUICK, tmp_path)
    with pytest.raises(RunError, match="of other data or settings"):
        fit_noisy_classifier(digits, ClassifierConfig(steps=7, batch_size=16), tmp_path)
    other, _ = points((5, 5))
    with pytest.raises(RunError, match="was trained on other data"):
        load_noisy_classifier(DataCard.of(other), tmp_path)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"process": "vq"}, "unknown process 'vq'"),
        ({"noise": "log"}, "unknown noise law 'log'"),
        ({"policy": "even"}, "unknown sampling policy 'even'"),
        ({"steps": 0}, "steps must be above 0"),
    ],
)
def test_settings_without_meaning_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        ClassifierConfig(**settings)  # type: ignore[arg-type]


def test_images_of_odd_sizes_and_colours_are_taken() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 5, 9, 3)).astype(np.uint8)
    data = Dataset.from_arrays(pixels, np.arange(20) % 2)
    classifier = fit_noisy_classifier(data, ClassifierConfig(steps=2, batch_size=4))
    assert classifier.log_probabilities(data.tensor(), torch.full((20,), 0.5)).shape == (20, 2)
