"""Sampling: the asked numbers, and samples that do not depend on their batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from evenscore.denoisers.oracle import GaussianMixture
from evenscore.denoisers.preconditioned import Preconditioned
from evenscore.errors import UsageError
from evenscore.process import VP
from evenscore.sampling import Sampler, generate, labels_for
from evenscore.solvers import SOLVERS


class Backbone(nn.Module):
    """Two convolutions, group normalisation, and dropout that must be off while sampling."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 1, 3, padding=1)
        self.norm, self.drop, self.label = nn.GroupNorm(2, 8), nn.Dropout(0.5), nn.Embedding(4, 8)

    def forward(self, x: Tensor, level: Tensor, y: Tensor, extra: Tensor | None) -> Tensor:
        assert not self.training
        assert torch.is_inference_mode_enabled()
        condition = self.label(y) + torch.sin(level / 100)[:, None]
        hidden = self.drop(torch.tanh(self.norm(self.first(x)) + condition[:, :, None, None]))
        output: Tensor = self.last(hidden)
        return output


@pytest.fixture(scope="module")
def denoiser() -> Preconditioned:
    return Preconditioned(Backbone(), VP(), 3, (1, 6, 6))


def test_labels_hold_exactly_the_asked_numbers() -> None:
    labels = labels_for([2, 0, 3])
    assert labels.tolist() == [0, 0, 2, 2, 2]
    assert labels.dtype == torch.int64
    assert labels_for([]).tolist() == labels_for([0, 0]).tolist() == []
    with pytest.raises(UsageError, match="-1 samples of a class were asked for: give 0 or more"):
        labels_for([3, -1])


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_sample_is_the_same_alone_and_in_batches_of_7_and_64(
    denoiser: Preconditioned, solver: str, guidance: float
) -> None:
    settings = {"steps": 2} if solver == "annealed-langevin" else {}
    sampler = Sampler(solver, nfe=9, guidance=guidance, interval=(-6.0, 6.0), settings=settings)
    labels = torch.arange(64) % 4
    whole = torch.cat([b.x for b in generate(denoiser, labels, seed=5, sampler=sampler)])
    sevens = torch.cat([b.x for b in generate(denoiser, labels[:21], seed=5, sampler=sampler, batch_size=7)])
    torch.testing.assert_close(sevens, whole[:21], rtol=0, atol=1e-5)
    for i in (0, 13, 63):
        (alone,) = generate(denoiser, labels[i : i + 1], seed=5, sampler=sampler, indices=[i])
        torch.testing.assert_close(alone.x, whole[i : i + 1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("solver", ["dpm++2m", "euler-maruyama"])
def test_the_seed_and_the_index_make_the_sample(denoiser: Preconditioned, solver: str) -> None:
    sampler = Sampler(solver, nfe=5)

    def sample(seed: int, index: int) -> Tensor:
        (batch,) = generate(denoiser, [1], seed=seed, sampler=sampler, indices=[index])
        return batch.x

    assert torch.equal(sample(0, 3), sample(0, 3))
    assert not torch.allclose(sample(0, 3), sample(1, 3))
    assert not torch.allclose(sample(0, 3), sample(0, 4))


def test_batches_come_in_order_and_are_ordinary_tensors(denoiser: Preconditioned) -> None:
    labels, indices = labels_for([2, 1, 2]), [10, 11, 20, 30, 31]
    batches = list(generate(denoiser, labels, seed=0, sampler=Sampler(nfe=3), indices=indices, batch_size=2))
    assert [b.indices for b in batches] == [(10, 11), (20, 30), (31,)]
    assert torch.equal(torch.cat([b.labels for b in batches]), labels)
    assert [tuple(b.x.shape) for b in batches] == [(2, 1, 6, 6), (2, 1, 6, 6), (1, 1, 6, 6)]
    assert not any(b.x.is_inference() for b in batches)
    assert list(generate(denoiser, [], seed=0, sampler=Sampler(nfe=3))) == []


def test_every_part_keeps_its_own_mode(denoiser: Preconditioned) -> None:
    denoiser.train()
    denoiser.backbone.norm.eval()
    before = [part.training for part in denoiser.modules()]
    batches = generate(denoiser, [0, 1], seed=0, sampler=Sampler(nfe=3), batch_size=1)
    next(batches)
    assert not torch.is_inference_mode_enabled()
    assert [part.training for part in denoiser.modules()] == before
    next(batches)
    assert before.count(True) == len(before) - 1


def test_the_samplers_settings_reach_the_samples() -> None:
    means = torch.tensor([[1.0, -1.0], [-0.5, 0.5]])
    oracle = GaussianMixture.isotropic(VP(), means, [0.1, 0.1], [0, 1])
    (batch,) = generate(oracle, labels_for([32, 32]), seed=0, sampler=Sampler(nfe=20))
    for label in (0, 1):
        torch.testing.assert_close(batch.x[batch.labels == label].mean(0), means[label], rtol=0, atol=0.05)
        torch.testing.assert_close(batch.x[batch.labels == label].std(0), torch.full((2,), 0.1), rtol=0.3, atol=0)
    given: list[dict[str, object]] = [{}, {"solver": "heun"}, {"grid": "edm"}, {"nfe": 30}, {"guidance": 0.0}]
    samplers = [Sampler(**{"nfe": 20, **changed}) for changed in given]  # type: ignore[arg-type]
    results = [next(generate(oracle, [0, 1], seed=0, sampler=sampler)).x for sampler in samplers]
    assert not any(torch.equal(results[0], other) for other in results[1:])


def test_settings_of_the_solver_are_strict_and_reach_it(denoiser: Preconditioned) -> None:
    sampler = Sampler("ddim", nfe=5, settings={"eta": "0.5"})
    assert sampler.settings == {"eta": 0.5}
    assert sampler.make_solver() == SOLVERS["ddim"](eta=0.5)  # type: ignore[call-arg]
    plain = next(generate(denoiser, [1], seed=0, sampler=Sampler("ddim", nfe=5))).x
    assert not torch.allclose(next(generate(denoiser, [1], seed=0, sampler=sampler)).x, plain)
    assert Sampler("langevin", nfe=7, settings={"steps": 3}).make_solver().evaluations == 3
    for given, words in (({"etta": 1}, "unknown key 'etta': did you mean 'eta'"), ({"eta": 2}, "eta is 2")):
        with pytest.raises(UsageError, match=words):
            Sampler("ddim", settings=given)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"solver": "huen"}, "unknown solver 'huen': did you mean 'heun'?"),
        ({"grid": "logsnr"}, "unknown time grid 'logsnr': did you mean 'log-snr'?"),
        ({"solver": "heun", "nfe": 2}, "2 evaluations are too few for Heun: give at least 3"),
        ({"solver": "langevin", "nfe": 3, "settings": {"steps": 3}}, "3 evaluations are too few for Langevin"),
        ({"guidance": -2.0}, "guidance scale is -2"),
        ({"interval": (1.0, 1.0)}, "interval is \\(1, 1\\)"),
    ],
)
def test_a_sampler_that_cannot_work_is_refused_when_made(settings: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("?", "\\?")):
        Sampler(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("labels", "settings", "words"),
    [
        ([0, 4], {}, r"a label lies outside 0 \.\. 3"),
        ([-1], {}, "a label lies outside"),
        ([0, 1], {"indices": [5]}, "1 indices were given for 2 labels"),
        ([0], {"batch_size": 0}, "batch size is 0: give at least 1"),
    ],
)
def test_a_request_that_does_not_fit_is_refused_at_the_call(
    denoiser: Preconditioned, labels: list[int], settings: dict[str, int], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        generate(denoiser, labels, seed=0, sampler=Sampler(), **settings)  # type: ignore[arg-type]
