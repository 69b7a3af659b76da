"""The steps of a distillation: what they draw, whom they move, and that they lead to the teacher."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from evenscore.denoisers.oracle import GaussianMixture
from evenscore.distill import Distillation, DistillConfig
from evenscore.distill.core import score_of
from evenscore.errors import EvenscoreError, UsageError
from evenscore.random import generator

Make = Callable[..., Distillation]


def weights(module: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def moved(module: nn.Module, before: list[Tensor]) -> bool:
    return any(not torch.equal(p, old) for p, old in zip(module.parameters(), before, strict=True))


def test_a_step_draws_from_the_seed_and_its_number_alone(small: Make) -> None:
    one, other, changed = small(), small(lr=1e-3), small(seed=1)
    for a, b in zip(one.draw("score", 7), other.draw("score", 7), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(one.draw("score", 7).z, one.draw("score", 8).z)
    assert not torch.equal(one.draw("score", 7).z, one.draw("sampler", 7).z)
    assert not torch.equal(one.draw("score", 7).z, changed.draw("score", 7).z)


def test_every_class_is_drawn_alike(small: Make) -> None:
    assert small().draw("score", 0).y.bincount().tolist() == [4, 4]
    odd = [small(batch_size=3).draw("score", k).y.bincount(minlength=2).tolist() for k in range(20)]
    assert {tuple(counts) for counts in odd} == {(1, 2), (2, 1)}


def test_each_step_moves_its_own_network(small: Make) -> None:
    core = small()
    sampler, own = weights(core.sampler), weights(core.own)
    core.score_step(core.draw("score", 0), 1e-3, 0)
    assert moved(core.own, own)
    assert not moved(core.sampler, sampler)
    own = weights(core.own)
    core.sampler_step(core.draw("sampler", 0), 1e-3, 0)
    assert moved(core.sampler, sampler)
    assert not moved(core.own, own)


@pytest.mark.parametrize("method", ["kl", "fisher"])
def test_a_step_is_so_many_steps_of_the_score_and_one_of_the_generator(small: Make, method: str) -> None:
    by_hand, whole = small(method=method), small(method=method)
    for i in range(2):
        by_hand.score_step(by_hand.draw("score", 2 * 3 + i), 1e-3, 3)
    outcome = by_hand.sampler_step(by_hand.draw("sampler", 3), 2e-4, 3)
    assert torch.equal(whole.step(3, 0.0).gap, outcome.gap)
    for module in ("sampler", "own"):
        assert not moved(getattr(whole, module), weights(getattr(by_hand, module)))


def test_the_score_is_that_of_noised_samples(teacher: GaussianMixture) -> None:
    """In coordinates ``x_t / alpha`` class 0 is N(-1, 1 + 1 / SNR)."""
    x, t = torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None], torch.full((5,), 0.3, dtype=torch.float64)
    rho = teacher.process.log_snr(t).exp()[:, None]
    found = score_of(teacher, t, torch.zeros(5, dtype=torch.int64))(x)
    torch.testing.assert_close(found, -(x + 1) / (1 + 1 / rho))


@pytest.mark.parametrize(("method", "steps"), [("kl", 150), ("fisher", 150)])
def test_the_generator_learns_mean_and_deviation_of_each_class(small: Make, method: str, steps: int) -> None:
    core = small(method=method, steps=steps, batch_size=128, lr=1e-2, score_lr=1e-2, cooldown=0.5, ema=0.9)
    for k in range(steps):
        core.step(k, k / steps)
    z, y = torch.randn(8000, 1, generator=generator(5)), torch.arange(8000) % 2
    with torch.no_grad():
        x = core.average.module.draw(z, y)  # type: ignore[operator]
    for k, (mean, std) in enumerate([(-1.0, 1.0), (2.0, 0.5)]):
        assert float(x[y == k].mean()) == pytest.approx(mean, abs=0.15)
        assert float(x[y == k].std()) == pytest.approx(std, abs=0.15)


def test_a_guided_teacher_is_asked_without_its_class_too(small: Make, teacher: GaussianMixture) -> None:
    core, x, t = small(guidance=2.0), torch.tensor([[0.3]]), torch.tensor([0.5])
    y = torch.tensor([0])
    guided = core.teacher.predict(x, t, y).score
    plain, null = teacher.predict(x, t, y).score, teacher.predict(x, t, y + 2).score
    torch.testing.assert_close(guided, 2 * plain - null)


@pytest.mark.parametrize("part", ["sampler", "own"])
def test_what_is_not_finite_is_said_and_not_learned(small: Make, part: str) -> None:
    core = small()
    next(iter(getattr(core, part).parameters())).data.fill_(math.nan)
    other = core.own if part == "sampler" else core.sampler
    before = weights(other)
    with pytest.raises(EvenscoreError, match="became nan at step 5: the last checkpoint is intact"):
        core.step(4, 0.0)
    assert not moved(other, before)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"method": "kll"}, "unknown method 'kll': did you mean 'kl'?"),
        ({"levels": "lest"}, "unknown law of levels 'lest': did you mean 'least'?"),
        ({"divergence": "exakt"}, "did you mean 'exact'?"),
        ({"score_steps": 0}, "score_steps must be at least 1"),
        ({"lr": 0.0}, "lr must be above 0"),
        ({"ema": 1.5}, "ema must be between 0 and 1"),
        ({"warmup": -1}, "warmup must be at least 0"),
        ({"guidance": -1.0}, "guidance scale is -1"),
        ({"minutes": 1.0}, "both steps and minutes given"),
        ({"steps": None}, "neither steps nor minutes given"),
        ({"steps": 0}, "steps must be above 0"),
    ],
)
def test_settings_that_cannot_be_used(changed: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        DistillConfig(**{"steps": 3, **changed})  # type: ignore[arg-type]
    assert words in str(caught.value)
