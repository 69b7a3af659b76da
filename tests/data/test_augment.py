from __future__ import annotations

import pytest
import torch

from evenscore.data import AUGMENTATIONS, Augmentation
from evenscore.errors import UsageError
from evenscore.random import generator

X = torch.arange(200 * 3 * 16 * 24, dtype=torch.float32).reshape(200, 3, 16, 24)


def by_hand(x: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    """Mirror, pad with the edge, cut out the shifted window."""
    flip, dy, dx = int(a[0]), round(float(a[1]) * 2), round(float(a[2]) * 3)
    x = x.flip(-1) if flip else x
    padded = torch.nn.functional.pad(x[None], (3, 3, 2, 2), mode="replicate")[0]
    return padded[:, 2 - dy : 2 - dy + 16, 3 - dx : 3 - dx + 24]


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_vector_says_exactly_what_was_done(name: str) -> None:
    x, a = Augmentation(name)(X, generator(0, "augment"))
    assert x.shape == X.shape
    assert a.shape == (200, 3)
    assert a.abs().max() <= 1
    # A flip changes the direction in which rows are read; the shift is of the mirrored image.
    for before, after, vector in zip(X, x, a, strict=True):
        torch.testing.assert_close(after, by_hand(before, vector), rtol=0, atol=0)
    assert bool(a[:, 0].any()) == ("flip" in name)
    assert bool(a[:, 1:].any()) == ("shift" in name)


def test_untouched_images_are_common() -> None:
    _, a = Augmentation("flip+crop-shift")(X, generator(0))
    assert 0.15 < (a == 0).all(1).float().mean() < 0.4


def test_fixed_by_the_generator() -> None:
    first, a = Augmentation("flip+crop-shift")(X, generator(1))
    again, b = Augmentation("flip+crop-shift")(X, generator(1))
    assert torch.equal(first, again)
    assert torch.equal(a, b)
    assert not torch.equal(a, Augmentation("flip+crop-shift")(X, generator(2))[1])


def test_bad_requests() -> None:
    with pytest.raises(UsageError, match="did you mean 'flip'"):
        Augmentation("flop")
    with pytest.raises(UsageError, match="vectors"):
        Augmentation("flip")(torch.zeros(4, 2), generator(0))
    x, a = Augmentation()(torch.zeros(4, 2), generator(0))
    assert x.shape == (4, 2)
    assert not a.any()
