"""Backbones: named sizes, any shape of sample, and what reaches the output."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from evenscore.errors import UsageError
from evenscore.networks import NETWORKS, build_network
from evenscore.networks.mlp import MLP_SIZES
from evenscore.networks.unet import UNET_SIZES


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def perturbed(network: nn.Module) -> nn.Module:
    """The network with noise on every weight, so that nothing is zero any more."""
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in network.parameters():
            p += 0.1 * torch.randn(p.shape, generator=random)
    return network.eval()


def inputs(shape: tuple[int, ...], n: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    return torch.randn(n, *shape, generator=random), torch.linspace(100, 900, n), torch.arange(n)


@pytest.mark.parametrize(
    ("size", "shape", "least", "most"),
    [
        ("tiny", (1, 8, 8), 0.18e6, 0.42e6),
        ("small", (1, 28, 28), 0.8e6, 1.7e6),
        ("base", (3, 32, 32), 32.4e6, 39.6e6),
        ("large", (3, 64, 64), 270e6, 330e6),
    ],
)
def test_sizes_are_near_what_their_names_promise(
    size: str, shape: tuple[int, int, int], least: float, most: float
) -> None:
    with torch.device("meta"):
        assert least < parameters(build_network(size, shape, 10)) < most


def test_sizes_grow_in_their_order() -> None:
    with torch.device("meta"):
        for shape in ((1, 28, 28), (40,)):
            counts = [parameters(build_network(size, shape, 10)) for size in NETWORKS]
            assert counts == sorted(set(counts))
    assert NETWORKS == tuple(UNET_SIZES) == tuple(MLP_SIZES)


@pytest.mark.parametrize(
    "shape",
    [(1, 8, 8), (3, 7, 5), (1, 28, 28), (2, 30, 17), (5, 33, 64), (3, 1, 1), (1, 3, 70), (12,), (1,)],
    ids=lambda shape: "x".join(map(str, shape)),
)
@pytest.mark.parametrize("size", ["tiny", "small"])
def test_any_shape_comes_out_as_it_went_in(size: str, shape: tuple[int, ...]) -> None:
    x, level, y = inputs(shape)
    network = build_network(size, shape, 3)
    out = network(x, level, y)
    assert out.shape == x.shape
    assert float(out.detach().abs().max()) == 0, "an untrained network adds nothing to the best linear denoiser"
    with torch.no_grad():
        moved = perturbed(network)(x, level, y)
    assert bool(moved.isfinite().all())
    assert float(moved.flatten(1).abs().amax(1).min()) > 0


def test_every_pixel_matters_and_every_pixel_is_made() -> None:
    network = perturbed(build_network("tiny", (1, 7, 5), 3))
    x, level, y = inputs((1, 7, 5), n=1)
    x.requires_grad_()
    network(x, level, y).square().sum().backward()
    assert x.grad is not None
    assert float(x.grad.abs().min()) > 0


@pytest.mark.parametrize("shape", [(1, 8, 8), (6,)], ids=["image", "vector"])
def test_label_level_and_condition_reach_the_output(shape: tuple[int, ...]) -> None:
    network = perturbed(build_network("tiny", shape, 4, condition=3))
    x, level, y = inputs(shape, n=1)
    zero, flipped = torch.zeros(1, 3), torch.tensor([[1.0, 0.0, 0.0]])
    with torch.no_grad():
        outs = [network(x, level, torch.tensor([k]), zero) for k in range(5)]
        assert all(not torch.allclose(a, b, atol=1e-5) for i, a in enumerate(outs) for b in outs[:i])
        assert not torch.allclose(outs[0], network(x, level + 300, y, zero), atol=1e-5)
        assert not torch.allclose(outs[0], network(x, level, y, flipped), atol=1e-5)
        assert torch.equal(outs[0], network(x, level, y, None)), "no condition is the zero condition"


@pytest.mark.parametrize("shape", [(1, 8, 8), (6,)], ids=["image", "vector"])
def test_there_is_one_embedding_for_each_class_and_one_for_none(shape: tuple[int, ...]) -> None:
    network = build_network("tiny", shape, 4)
    assert isinstance(network.label, nn.Embedding)
    assert network.label.num_embeddings == 5
    x, level, _ = inputs(shape, n=1)
    with pytest.raises(IndexError):
        network(x, level, torch.tensor([5]))


def test_rows_do_not_see_each_other() -> None:
    network = perturbed(build_network("tiny", (1, 8, 8), 3))
    x, level, y = inputs((1, 8, 8))
    with torch.no_grad():
        whole, alone = network(x, level, y), network(x[1:2], level[1:2], y[1:2])
    torch.testing.assert_close(whole[1:2], alone, rtol=1e-4, atol=1e-5)


def test_dropout_is_the_sizes_own_or_as_asked() -> None:
    def rates(network: nn.Module) -> set[float]:
        return {module.p for module in network.modules() if isinstance(module, nn.Dropout)}

    with torch.device("meta"):
        assert 0.1 in rates(build_network("base", (3, 32, 32), 10))
        assert rates(build_network("tiny", (1, 8, 8), 10)) == {0.0}
        assert 0.3 in rates(build_network("tiny", (1, 8, 8), 10, dropout=0.3))


def test_a_size_that_is_misspelt_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown network 'tinny': did you mean 'tiny'"):
        build_network("tinny", (1, 8, 8), 3)
