"""Capacity manipulation: class weights, the reserve and its merging, the term by hand, and a hinge that bounds it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from evenscore.denoisers.base import Denoiser
from evenscore.denoisers.preconditioned import Conditioned
from evenscore.errors import UsageError
from evenscore.labels import LabelDistribution
from evenscore.networks.reserve import Reserved, reservable
from evenscore.objectives import CapacityManipulation, Denoising, Noised
from tests.objectives.nets import draws, network, rows_of

LABELS = LabelDistribution((50, 20, 5, 1))
FORMS = [((1, 8, 8), "shared"), ((1, 8, 8), "trunk"), ((6,), "shared"), ((6,), "trunk")]


@pytest.mark.parametrize("count", [3, 700])
def test_equal_counts_have_weight_0_where_the_scales_are_equal(count: int) -> None:
    equal = LabelDistribution((count,) * 4)
    assert CapacityManipulation().class_weights(equal).tolist() == pytest.approx([0.0] * 4, abs=1e-12)
    released = CapacityManipulation(w_con=1.0, w_div=0.2).class_weights(equal)
    assert released.tolist() == pytest.approx([0.8] * 4)


def test_class_weights_by_hand() -> None:
    found = CapacityManipulation(w_con=0.5, w_div=2.0).class_weights(LABELS)
    inverse = 1 / 50 + 1 / 20 + 1 / 5 + 1
    expected = [0.5 * 4 * n / 76 - 2.0 * 4 / (n * inverse) for n in LABELS.counts]
    assert found.tolist() == pytest.approx(expected)
    assert found[0] > 0 > found[3]


@pytest.mark.parametrize(("shape", "players"), FORMS)
@pytest.mark.parametrize("where", ["up", "all"])
def test_merged_and_unmerged_networks_give_the_same_output(shape: tuple[int, ...], players: str, where: str) -> None:
    objective, batch = CapacityManipulation(ratio=0.3, scale=0.7, where=where), rows_of(shape)
    denoiser = network(objective, shape, players)
    with torch.no_grad():
        before = denoiser.predict(batch.x_t, batch.t, batch.y_in)
        general = denoiser.predict_general(batch.x_t, batch.t, batch.y_in)
        objective.release(denoiser)
        after = denoiser.predict(batch.x_t, batch.t, batch.y_in)
    assert not isinstance(denoiser.backbone, Reserved)
    assert float((before.x0 - general.x0).abs().max()) > 1e-3, "the reserve says something"
    torch.testing.assert_close(after.x0, before.x0, rtol=1e-6, atol=1e-6)
    assert denoiser.state_dict().keys() == network(shape=shape, players=players).state_dict().keys()


@pytest.mark.parametrize(("shape", "players"), FORMS)
def test_an_untrained_reserve_is_the_backbone_bit_for_bit(shape: tuple[int, ...], players: str) -> None:
    plain, batch = network(shape=shape, players=players), rows_of(shape)
    with torch.no_grad():
        before = plain.predict(batch.x_t, batch.t, batch.y_in).x0
        CapacityManipulation().equip(plain)
        after = plain.predict(batch.x_t, batch.t, batch.y_in).x0
        observed, latents = plain.observe(batch.x_t, batch.t, batch.y_in)
    assert isinstance(plain.backbone, Reserved)
    assert torch.equal(before, after)
    assert torch.equal(before, observed.x0)
    assert latents.shape[0] == len(batch.y)


def test_at_strength_0_it_is_plain_denoising_of_the_same_network_bit_for_bit() -> None:
    objective, batch = CapacityManipulation(strength=0.0), rows_of()
    denoiser = network(objective)
    terms = objective(denoiser, batch, LABELS, draws())
    assert terms.keys() == {"denoising"}
    assert torch.equal(terms["denoising"], Denoising()(denoiser, batch, LABELS, draws())["denoising"])


def test_the_term_by_hand() -> None:
    objective, batch = CapacityManipulation(strength=0.7, w_div=0.6, margin=0.02), rows_of()
    denoiser = network(objective)
    with torch.no_grad():
        terms = objective(denoiser, batch, LABELS, draws())
        h = denoiser.predict(batch.x_t, batch.t, batch.y_in).eps
        general = denoiser.predict_general(batch.x_t, batch.t, batch.y_in).eps
    weights = objective.class_weights(LABELS).tolist()
    for i in range(len(batch.y)):
        gap = float((h[i] - general[i]).square().mean())
        c = weights[int(batch.y[i])]
        expected = 0.7 * (c * gap if c >= 0 else -c * max(0.0, 0.02 - gap)) * float(batch.kept[i])
        assert float(terms["capacity"][i]) == pytest.approx(expected, rel=1e-4, abs=1e-8)


def test_small_classes_push_up_to_the_margin_and_no_further() -> None:
    batch = replace(rows_of(), y=torch.full((16,), 3), y_in=torch.full((16,), 3))
    near, far = CapacityManipulation(margin=0.5), CapacityManipulation(margin=1e-9)
    denoiser = network(near)
    term = near(denoiser, batch, LABELS, draws())["capacity"]
    outer = denoiser.get_parameter("backbone.outer.0")
    (pushed,) = torch.autograd.grad(term.sum(), outer)
    gap = near(denoiser, batch, LABELS, draws())["capacity"]
    with torch.no_grad():
        outer -= 0.02 * pushed / pushed.norm()
    assert float((near(denoiser, batch, LABELS, draws())["capacity"] - gap).sum().detach()) < 0
    ended = far(denoiser, batch, LABELS, draws())["capacity"]
    assert not bool(ended.detach().any())
    (still,) = torch.autograd.grad(ended.sum(), outer)
    assert not bool(still.any())


def test_only_late_convolutions_are_reserved() -> None:
    backbone = network().backbone
    names = reservable(backbone, "up")
    assert names
    assert all(name.startswith("unet.up_blocks.") for name in names)
    assert all(backbone.get_parameter(name).ndim == 4 for name in names)
    everywhere = reservable(backbone, "all")
    assert set(names) < set(everywhere)
    assert not any("conv_out" in name or name.startswith("label") for name in everywhere)
    vectors = reservable(network(shape=(6,)).backbone, "up")
    assert {name.split(".")[1] for name in vectors} == {"2", "3"}


def test_ranks_are_a_share_of_the_smaller_side() -> None:
    reserved = network(CapacityManipulation(ratio=0.25)).backbone
    assert isinstance(reserved, Reserved)
    for name, outer, inner in zip(reserved.names, reserved.outer, reserved.inner, strict=True):
        d, k = reserved.backbone.get_parameter(name).flatten(1).shape
        assert outer.shape == (d, max(1, min(d, k) // 4))
        assert inner.shape == (outer.shape[1], k)


def test_the_condition_of_rows_reaches_both_predictions() -> None:
    denoiser, batch = network(CapacityManipulation(), condition=3), rows_of()
    told = Conditioned(denoiser, torch.randn(16, 3, generator=draws()))
    with torch.no_grad():
        for ask in ("predict", "predict_general"):
            one, other = (getattr(d, ask)(batch.x_t, batch.t, batch.y) for d in (told, denoiser))
            assert float((one.x0 - other.x0).abs().max()) > 1e-4
        assert not torch.equal(told.observe(batch.x_t, batch.t, batch.y)[1], denoiser.observe(*vars_of(batch))[1])


def vars_of(batch: Noised) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return batch.x_t, batch.t, batch.y


def test_what_cannot_be_equipped_is_refused(affine: Denoiser, batch: Noised, labels: LabelDistribution) -> None:
    with pytest.raises(
        UsageError, match="Affine cannot be equipped for this objective: give a Preconditioned denoiser"
    ):
        CapacityManipulation().equip(affine)
    with pytest.raises(UsageError, match="Affine has no reserved capacity: let the objective equip the denoiser"):
        CapacityManipulation()(affine, batch, labels, draws())
    with pytest.raises(UsageError, match="Preconditioned has no reserved capacity"):
        CapacityManipulation()(network(), rows_of(), labels, draws())
    with pytest.raises(UsageError, match="nothing can be reserved in SeparatePlayers: use a network of players=shared"):
        network(CapacityManipulation(), players="separate")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"where": "dwn"}, "unknown where 'dwn'"),
        ({"ratio": 0.0}, "ratio must be above 0 to 1"),
        ({"w_div": -1.0}, "w_div must be at least 0"),
        ({"margin": -1.0}, "margin must be at least 0"),
    ],
)
def test_what_is_misspelt_or_out_of_range_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        CapacityManipulation(**settings)
    assert words in str(caught.value)
