"""Parts computed in fewer passes equal those that they replace: torch's group norm, diffusers' UNet and its checkpoints."""

from __future__ import annotations

import copy

import pytest
import torch
from diffusers import UNet2DModel
from torch import Tensor, nn
from torch.nn import functional as F

from evenscore.errors import UsageError
from evenscore.networks import build_network
from evenscore.networks.blocks import Doubling, Residual, quicken
from evenscore.networks.group_norm import GroupNorm, group_norm


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def made(groups: int = 4, channels: int = 12, dtype: torch.dtype = torch.float64) -> GroupNorm:
    norm = GroupNorm(groups, channels, eps=1e-5).to(dtype)
    with torch.no_grad():
        norm.weight.copy_(drawn(channels, seed=1))
        norm.bias.copy_(drawn(channels, seed=2))
    return norm


def reference(norm: nn.GroupNorm, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    out = F.group_norm(x, norm.num_groups, norm.weight, norm.bias, norm.eps)
    return out * (1 + scale[:, :, None, None]) + shift[:, :, None, None]


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format], ids=["last", "first"])
def test_normalisation_and_its_first_and_second_derivatives_are_torchs(memory_format: torch.memory_format) -> None:
    norm = made()
    x = (2 * drawn(3, 12, 5, 4, seed=3) + 3).contiguous(memory_format=memory_format).requires_grad_()
    scale, shift = drawn(3, 12, seed=4).requires_grad_(), drawn(3, 12, seed=5).requires_grad_()
    given = [x, norm.weight, norm.bias, scale, shift]
    ours, theirs = group_norm(norm, x, scale, shift), reference(norm, x, scale, shift)
    assert ours.is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(ours, theirs)
    weight = drawn(*x.shape, seed=6)
    first = [torch.autograd.grad((out * weight).sum(), given, create_graph=True) for out in (ours, theirs)]
    for one, other in zip(*first, strict=True):
        torch.testing.assert_close(one, other)
    second = [torch.autograd.grad(grads[0].square().sum(), given[:2]) for grads in first]
    for one, other in zip(*second, strict=True):
        torch.testing.assert_close(one, other)


def test_normalisation_of_few_digits_is_nearer_to_the_truth_than_torchs() -> None:
    norm, x = made(dtype=torch.float32), 2 * drawn(8, 12, 8, 8, seed=3) + 1
    exact = F.group_norm(x, 4, norm.weight.double(), norm.bias.double(), norm.eps).detach()
    rounded = x.bfloat16().contiguous(memory_format=torch.channels_last)
    half = copy.deepcopy(norm).bfloat16()
    theirs = F.group_norm(rounded, 4, half.weight, half.bias, norm.eps).detach()
    ours = norm(rounded).detach()
    assert ours.dtype == torch.bfloat16
    ours_off, theirs_off = ((out.double() - exact).abs().mean() for out in (ours, theirs))
    assert float(ours_off) <= float(theirs_off)


@pytest.mark.parametrize("shape", [(2, 12, 1, 1), (1, 12, 3, 2), (2, 12, 7)], ids=str)
def test_normalisation_of_odd_shapes_is_torchs(shape: tuple[int, ...]) -> None:
    norm, x = made(), drawn(*shape, seed=3)
    swapped = x.movedim(1, -1).contiguous().movedim(-1, 1)
    torch.testing.assert_close(norm(swapped), F.group_norm(x, 4, norm.weight, norm.bias, norm.eps))


def unet() -> UNet2DModel:
    """A small one of every kind of part, as diffusers makes it."""
    torch.manual_seed(0)
    return UNet2DModel(
        sample_size=8,
        in_channels=3,
        out_channels=3,
        layers_per_block=2,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
        attention_head_dim=4,
        class_embed_type="identity",
        resnet_time_scale_shift="scale_shift",
    )


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format], ids=["last", "first"])
def test_the_quick_unet_computes_what_diffusers_computes(memory_format: torch.memory_format) -> None:
    theirs = unet().double()
    ours = copy.deepcopy(theirs).to(memory_format=memory_format)
    names, order = list(ours.state_dict()), [name for name, _ in ours.named_parameters()]
    quicken(ours)
    assert sum(isinstance(m, Residual) for m in ours.modules()) == 12
    assert sum(isinstance(m, Doubling) for m in ours.modules()) == 1
    assert list(ours.state_dict()) == names
    assert [name for name, _ in ours.named_parameters()] == order, "the optimiser's state is kept in this order"
    x, level, given = drawn(3, 3, 8, 8), torch.tensor([10.0, 400.0, 900.0]), drawn(3, 32, seed=7)
    outs = [net(x, level, class_labels=given).sample for net in (ours, theirs)]
    torch.testing.assert_close(*outs, rtol=1e-6, atol=1e-7)
    for out in outs:
        (out * drawn(*out.shape, seed=8)).sum().backward()
    for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-5, atol=1e-7, msg=name)


def test_a_memory_format_that_is_misspelt_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown memory format 'channels-last': did you mean 'channels_last'"):
        build_network("tiny", (1, 8, 8), 3, memory_format="channels-last")
