"""Frames are orthonormal, measurements keep what is known, and colourisation is inpainting in a rotated frame."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evenscore.errors import UsageError
from evenscore.restore import LUMINANCE, Frame, Measurement, channel_frame, colourisation, inpainting


def orthonormal(size: int) -> Tensor:
    q, _ = torch.linalg.qr(torch.randn(size, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    return q


def images(rows: int = 2) -> Tensor:
    return torch.randn(rows, 3, 2, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("frame", [Frame(), Frame(orthonormal(3)), Frame(orthonormal(24)), channel_frame()])
def test_a_frame_is_undone_by_its_inverse_and_keeps_lengths(frame: Frame) -> None:
    x = images()
    u = frame.forward(x)
    assert u.shape == x.shape
    torch.testing.assert_close(frame.inverse(u), x, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(u.square().sum((1, 2, 3)), x.square().sum((1, 2, 3)))


def test_a_matrix_of_all_numbers_acts_as_a_matrix() -> None:
    q, x = orthonormal(24), images()
    expected = torch.stack([(q @ row.flatten()).reshape(row.shape) for row in x])
    torch.testing.assert_close(Frame(q).forward(x), expected)


@pytest.mark.parametrize("weights", [LUMINANCE, (1 / 3, 1 / 3, 1 / 3), (0.0, 0.0, 1.0), (0.5, 0.5)])
def test_the_first_channel_is_grey(weights: tuple[float, ...]) -> None:
    w = torch.tensor(weights, dtype=torch.float64)
    x = images()[:, : len(w)]
    grey = torch.einsum("c,bchw->bhw", w, x)
    torch.testing.assert_close(channel_frame(weights).forward(x)[:, 0] * w.norm(), grey)


def test_colourisation_is_what_a_frame_shows_of_the_colour_image() -> None:
    x = images()
    grey = torch.einsum("c,bchw->bhw", torch.tensor(LUMINANCE, dtype=torch.float64), x)[:, None]
    measured = colourisation(grey)
    seen = Measurement.observe(x, measured.known, channel_frame())
    torch.testing.assert_close(measured.values[:, 0], seen.values[:, 0])
    assert measured.mask.sum() == x.numel() / 3
    assert float(measured.misfit(x).abs().max()) < 1e-10
    other = measured.impose(-x, measured.values)
    regained = torch.einsum("c,bchw->bhw", torch.tensor(LUMINANCE, dtype=torch.float64), other)[:, None]
    torch.testing.assert_close(regained, grey)


def test_known_pixels_are_imposed_bit_for_bit() -> None:
    x, mask = images(), torch.tensor([[True, False, True, True], [False, False, True, False]])
    measured = inpainting(x, mask)
    found = measured.impose(torch.zeros_like(x), measured.values)
    assert torch.equal(found[..., mask], x[..., mask])
    assert not found[..., ~mask].any()


def test_rows_and_repetition_keep_masks_with_their_images() -> None:
    x = images(3)
    masks = torch.arange(3)[:, None, None, None] == torch.arange(3)[None, :, None, None]
    wide = inpainting(x, masks).repeat(2)
    assert torch.equal(wide.values[:, 0, 0, 0], x[:, 0, 0, 0].repeat_interleave(2))
    part = wide.rows(slice(2, 4))
    assert part.known[:, 1].all()
    assert not part.known[:, 0].any()


def test_what_does_not_fit_is_refused() -> None:
    x = images()
    with pytest.raises(UsageError, match=r"matrix of shape \(2, 3\) is no change"):
        Frame(torch.zeros(2, 3))
    with pytest.raises(UsageError, match="rows have length 1"):
        Frame(2 * torch.eye(3))
    with pytest.raises(UsageError, match="a frame of 5 coordinates does not fit"):
        Frame(torch.eye(5)).forward(x)
    with pytest.raises(UsageError, match="make no grey"):
        channel_frame((0.0, 0.0, 0.0))
    with pytest.raises(UsageError, match=r"mask of shape \(3, 3\) does not fit"):
        inpainting(x, torch.ones(3, 3, dtype=torch.bool))
    with pytest.raises(UsageError, match="give booleans for one sample"):
        Measurement(x, torch.ones(2, 3, 2, 4))
    with pytest.raises(UsageError, match="not finite"):
        inpainting(x * float("nan"), torch.ones(2, 4, dtype=torch.bool))
    with pytest.raises(UsageError, match=r"give \(B, 1, H, W\)"):
        colourisation(x)
