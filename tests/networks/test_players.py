"""Forms of the players: what they compute, whom a row moves, and how many parameters they may have."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evenscore.errors import UsageError
from evenscore.networks import PLAYERS, SeparatePlayers, TrunkPlayers, build_network, require_separable
from evenscore.networks.mlp import MLP, MLPSize
from evenscore.networks.players import parameter_groups
from evenscore.networks.unet import ImageUNet

SHAPES = [(1, 8, 8), (3, 7, 5), (1, 28, 20), (6,)]
K = 4


def perturbed(network: nn.Module) -> nn.Module:
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in network.parameters():
            p += 0.1 * torch.randn(p.shape, generator=random)
    return network.eval()


def inputs(shape: tuple[int, ...], labels: tuple[int, ...] = (0, 4, 1, 1, 3)) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    random, n = torch.Generator().manual_seed(1), len(labels)
    x, extra = torch.randn(n, *shape, generator=random), torch.randn(n, 3, generator=random)
    return x, torch.linspace(100, 900, n), torch.tensor(labels), extra


def built(shape: tuple[int, ...], players: str, rank: int = 4) -> nn.Module:
    torch.manual_seed(2)
    return build_network("tiny", shape, K, condition=3, players=players, rank=rank)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_backbone_is_its_features_read_by_its_last_layer(shape: tuple[int, ...]) -> None:
    network = perturbed(built(shape, "shared"))
    assert isinstance(network, ImageUNet | MLP)
    seen: list[Tensor] = []
    network.outward.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        out, h = network(*inputs(shape)), network.features(*inputs(shape))
        assert torch.equal(seen[0], h)
        assert torch.equal(network.read(h), out)
        assert torch.equal(network.finish(network.outward(h)), out)
    parameters = [name for name, _ in network.named_parameters() if "outward" in name or "conv_out" in name]
    assert parameters == (
        ["outward.weight", "outward.bias"] if len(shape) == 1 else ["unet.conv_out.weight", "unet.conv_out.bias"]
    )


def test_the_trunk_of_the_image_backbone_is_that_of_diffusers_bit_for_bit() -> None:
    network = perturbed(built((1, 28, 20), "shared"))
    assert isinstance(network, ImageUNet)
    x, level, y, extra = inputs((1, 28, 20))
    with torch.no_grad():
        patches = F.pixel_unshuffle(F.pad(x, network.pad, mode="replicate"), network.patch)
        patches = patches.contiguous(memory_format=torch.channels_last)
        given = network.label(y) + network.condition(extra)  # type: ignore[misc]
        theirs = network.finish(network.unet(patches, level, class_labels=given).sample)
        assert torch.equal(theirs, network(x, level, y, extra))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_untrained_trunk_players_equal_their_backbone_exactly(shape: tuple[int, ...]) -> None:
    players = built(shape, "trunk")
    assert isinstance(players, TrunkPlayers)
    perturbed(players.backbone)
    with torch.no_grad():
        assert torch.equal(players(*inputs(shape)), players.backbone(*inputs(shape)))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_strategy_is_a_correction_of_the_last_layer_of_its_rank(shape: tuple[int, ...]) -> None:
    """Row by row, the output is that of a backbone whose last layer has the corrected weights."""
    players = perturbed(built(shape, "trunk", rank=2))
    assert isinstance(players, TrunkPlayers)
    x, level, y, extra = inputs(shape)
    layer = players.outward
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    with torch.no_grad():
        together = players(x, level, y, extra)
        for i, label in enumerate(y.tolist()):
            inner = players.inner.weight[label].unflatten(0, (2, -1))
            outer = players.outer.weight[label].reshape(layer.weight.shape[0], 2, *layer.weight.shape[2:])
            weight = layer.weight + torch.einsum("or...,ri->oi...", outer, inner)
            bias = layer.bias + players.offset.weight[label]
            h = players.features(x[i : i + 1], level[i : i + 1], y[i : i + 1], extra[i : i + 1])
            out = F.linear(h, weight, bias) if len(shape) == 1 else F.conv2d(h, weight, bias, padding=1)
            torch.testing.assert_close(together[i : i + 1], players.finish(out), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_separate_players_are_networks_of_their_own(shape: tuple[int, ...]) -> None:
    players = perturbed(built(shape, "separate"))
    assert isinstance(players, SeparatePlayers)
    assert len(players.players) == K + 1
    x, level, y, extra = inputs(shape)
    with torch.no_grad():
        together = players(x, level, y, extra)
        for i, label in enumerate(y.tolist()):
            own = players.players[label]
            alone = own(x[i : i + 1], level[i : i + 1], torch.zeros(1, dtype=torch.int64), extra[i : i + 1])
            torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-4, atol=1e-5)


def test_separate_players_start_alike_and_as_the_plain_backbone_whatever_their_number() -> None:
    torch.manual_seed(3)
    few = build_network("tiny", (6,), 2, players="separate")
    torch.manual_seed(3)
    many = build_network("tiny", (6,), 9, players="separate")
    assert isinstance(few, SeparatePlayers)
    assert isinstance(many, SeparatePlayers)
    first = list(few.players[0].parameters())
    for other in (*few.players, *many.players):
        assert all(torch.equal(a, b) for a, b in zip(first, other.parameters(), strict=True))


@pytest.mark.parametrize("labels", [(0, 4, 1, 1, 3, 1, 0), (2, 2, 2), (3, 0, 0, 0, 0, 0, 0)], ids=str)
@pytest.mark.parametrize("told", [False, True], ids=["plain", "condition"])
def test_players_computed_at_once_are_those_computed_in_turn(labels: tuple[int, ...], told: bool) -> None:
    torch.manual_seed(4)
    double = perturbed(SeparatePlayers(MLP(MLPSize(16, 2), 6, 0, 3), K + 1)).double()
    assert isinstance(double, SeparatePlayers)
    x, level, y, extra = inputs((6,), labels)
    found = []
    for evaluation in ("loop", "stacked"):
        double.evaluation = evaluation
        double.zero_grad()
        out = double(x.double(), level.double(), y, extra.double() if told else None)
        out.square().sum().backward()
        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in double.parameters()]
        found.append([out.detach(), *grads])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def test_players_are_computed_at_once_where_that_is_quicker() -> None:
    small, large = (SeparatePlayers(MLP(MLPSize(width, 2), 2, 0), 10) for width in (32, 256))
    images = SeparatePlayers(build_network("tiny", (1, 8, 8), 0), 10)
    even, few, uneven = [3] * 9, [3] * 3, [60, *[1] * 9]
    assert [small._stacks(sizes, "cpu") for sizes in (even, few, uneven)] == [True, False, False]
    assert [small._stacks(sizes, "cuda") for sizes in (even, few, uneven)] == [True, True, False]
    assert [large._stacks(even, "cpu"), large._stacks(even, "cuda")] == [False, True]
    assert not images._stacks(even, "cuda")


@pytest.mark.parametrize("players", PLAYERS)
def test_a_label_that_is_no_players_is_an_error(players: str) -> None:
    network = built((6,), players)
    for wrong in (K + 1, -1):
        with pytest.raises(IndexError):
            network(*inputs((6,), (0, wrong)))


def test_parameters_are_counted_and_grouped_by_player() -> None:
    shared, trunk, separate = (built((1, 8, 8), players) for players in PLAYERS)
    assert parameter_groups(shared) == [list(shared.parameters())]
    assert parameter_groups(trunk) == [list(trunk.parameters())]
    assert isinstance(separate, SeparatePlayers)
    groups = parameter_groups(nn.Sequential(separate, nn.Linear(1, 1)))
    assert len(groups) == K + 2
    assert [sum(p.numel() for p in group) for group in groups[: K + 1]] == [
        sum(p.numel() for p in player.parameters()) for player in separate.players
    ]
    one, trunked, all_alone = (sum(p.numel() for p in network.parameters()) for network in (shared, trunk, separate))
    assert trunked - one == (K + 1) * (4 * 24 + 4 * 9 + 1)
    assert all_alone == (K + 1) * (one - K * 96)


def test_more_separate_players_than_memory_could_hold_are_refused() -> None:
    require_separable("tiny", (1, 16, 16), 1000)
    with pytest.raises(UsageError, match=r"needs 101 networks of 3.,...,... parameters.*use players=trunk"):
        build_network("base", (3, 32, 32), 100, players="separate")


def test_names_that_are_misspelt_and_networks_that_cannot_be_stacked_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown form of players 'trunks': did you mean 'trunk'"):
        build_network("tiny", (6,), 3, players="trunks")
    with pytest.raises(UsageError, match="unknown evaluation 'stack': did you mean 'stacked'"):
        SeparatePlayers(MLP(MLPSize(8, 1), 2, 0), 3, "stack")
    with pytest.raises(UsageError, match="evaluation=stacked needs an MLP, not a ImageUNet"):
        SeparatePlayers(build_network("tiny", (1, 8, 8), 0), 3, "stacked")
