"""The residual network: its number of parameters, its shortcuts, and any size of image."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from evenscore.errors import UsageError
from evenscore.networks.resnet import ResidualNetwork, _Block


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_32_layers_have_the_parameters_of_the_paper() -> None:
    """He et al. 2016, table 6: 0.46 million; counted by hand in the stages."""
    first = 3 * 16 * 9 + 2 * 16
    stage_1 = 10 * (16 * 16 * 9 + 2 * 16)
    stage_2 = 16 * 32 * 9 + 9 * 32 * 32 * 9 + 10 * 2 * 32
    stage_3 = 32 * 64 * 9 + 9 * 64 * 64 * 9 + 10 * 2 * 64
    head = 64 * 10 + 10
    assert first + stage_1 + stage_2 + stage_3 + head == 464_154
    assert parameters(ResidualNetwork(32, 3, 10)) == 464_154


@pytest.mark.parametrize(("depth", "channels", "classes"), [(8, 1, 2), (14, 3, 10), (20, 3, 100), (44, 1, 10)])
def test_the_closed_form_of_the_number_of_parameters(depth: int, channels: int, classes: int) -> None:
    n = (depth - 2) // 6
    assert parameters(ResidualNetwork(depth, channels, classes)) == 97216 * n + 144 * channels + 65 * classes - 23008


def test_the_number_of_layers_with_weights_is_the_depth() -> None:
    layers = [m for m in ResidualNetwork(20, 3, 10).modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == 20


def test_a_shortcut_takes_every_second_place_and_fills_channels_with_zeros() -> None:
    block = _Block(16, 32, 2).eval()
    nn.init.zeros_(block.norms[1].weight)
    x = torch.rand(2, 16, 7, 5, generator=torch.Generator().manual_seed(0))
    out = block(x)
    assert out.shape == (2, 32, 4, 3)
    assert torch.equal(out[:, 8:24], x[:, :, ::2, ::2])
    assert not out[:, :8].any()
    assert not out[:, 24:].any()


def test_one_block_is_two_convolutions_round_the_identity() -> None:
    block = _Block(16, 16, 1).eval()
    for norm in block.norms:
        norm.running_mean.fill_(0.1)
        norm.running_var.fill_(4.0)
    x = torch.randn(1, 16, 4, 4, generator=torch.Generator().manual_seed(0))

    def normed(z: torch.Tensor) -> torch.Tensor:
        return (z - 0.1) / (4.0 + 1e-5) ** 0.5

    def convolved(z: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        columns = torch.nn.functional.unfold(z, 3, padding=1)
        return (kernel.flatten(1) @ columns).view(1, 16, 4, 4)

    inner = normed(convolved(x, block.first.weight)).clamp_min(0)
    expected = (normed(convolved(inner, block.last.weight)) + x).clamp_min(0)
    torch.testing.assert_close(block(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (28, 28), (5, 17)])
def test_images_of_any_size_have_logits(shape: tuple[int, int]) -> None:
    network = ResidualNetwork(8, 1, 3).eval()
    x = torch.randn(2, 1, *shape, generator=torch.Generator().manual_seed(0))
    assert network(x).shape == (2, 3)
    torch.testing.assert_close(network(x)[1:], network(x[1:]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("depth", [2, 9, 31])
def test_other_depths_are_refused(depth: int) -> None:
    with pytest.raises(UsageError, match=f"depth={depth} cannot be used: a residual network has 6n \\+ 2 layers"):
        ResidualNetwork(depth, 1, 2)
