"""Last layers as matrices: read out, applied to rows of features, corrected by label."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from evenscore.errors import UsageError
from evenscore.networks import build_network
from evenscore.networks.heads import ClassHeads, feature_rows, last_layers, target_rows, trunk_of

CLASSES = 4
CASES = [("shared", (1, 8, 8)), ("trunk", (3, 18, 10)), ("shared", (5,)), ("trunk", (5,))]


def network(players: str, shape: tuple[int, ...]) -> nn.Module:
    made = build_network("tiny", shape, CLASSES, players=players)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in made.parameters():
            p.normal_(std=0.1, generator=random)
    return made.eval()


def batch(shape: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    x, level = torch.randn(6, *shape, generator=random), 1000 * torch.rand(6, generator=random)
    return x, level, torch.arange(6) % (CLASSES + 1)


@pytest.mark.parametrize(("players", "shape"), CASES)
@torch.no_grad()
def test_rows_times_the_matrix_are_the_output(players: str, shape: tuple[int, ...]) -> None:
    net, (x, level, y) = network(players, shape), batch(shape)
    trunk = trunk_of(net)
    rows = feature_rows(trunk, trunk.features(x, level, y)).double()
    expected = target_rows(trunk, net(x, level, y)).double()
    pixels = expected.isfinite()
    assert bool(pixels.all()) is (shape != (3, 18, 10))
    found = rows @ last_layers(trunk, y).mT
    torch.testing.assert_close(found[pixels], expected[pixels], rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize(("players", "shape"), CASES)
@torch.no_grad()
def test_corrected_heads(players: str, shape: tuple[int, ...]) -> None:
    net, (x, level, y) = network(players, shape), batch(shape)
    trunk = trunk_of(net)
    layers = last_layers(trunk, torch.arange(CLASSES + 1))
    change = 0.1 * torch.randn(layers.shape, generator=torch.Generator().manual_seed(2))
    change[CLASSES] = 0
    changed = ClassHeads(net, change)
    out = changed(x, level, y)
    found = feature_rows(trunk, trunk.features(x, level, y)).double() @ (layers + change)[y].mT
    expected = target_rows(trunk, out).double()
    torch.testing.assert_close(found[expected.isfinite()], expected[expected.isfinite()], rtol=1e-4, atol=5e-6)
    null = torch.full_like(y, CLASSES)
    assert torch.equal(changed(x, level, null), net(x, level, null))
    assert torch.equal(ClassHeads(net, 0 * change)(x, level, y), net(x, level, y))
    assert not torch.equal(out[:4], net(x, level, y)[:4])


def test_what_has_no_trunk_is_refused() -> None:
    separate = build_network("tiny", (5,), 2, players="separate")
    with pytest.raises(UsageError, match="SeparatePlayers has no trunk that all labels share: use .* players=shared"):
        trunk_of(separate)
    net = network("shared", (5,))
    with pytest.raises(UsageError, match="do not fit a last layer of shape"):
        ClassHeads(net, torch.zeros(5, 5, 7))
    with pytest.raises(UsageError, match="has heads already"):
        ClassHeads(ClassHeads(net, torch.zeros(5, 5, 129)), torch.zeros(5, 5, 129))
