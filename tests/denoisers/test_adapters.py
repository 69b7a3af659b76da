"""Foreign networks give through the adapter what they give when called directly."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler, UNet2DModel
from torch import Tensor, nn

from evenscore.denoisers.adapters import Adapter, from_diffusers
from evenscore.denoisers.oracle import GaussianMixture
from evenscore.errors import UsageError
from evenscore.process import PROCESSES, VE, VP, Process

SCHEDULE = DDPMScheduler().alphas_cumprod.double()
INDICES = torch.tensor([0, 1, 20, 300, 640, 999])
LEVELS = torch.logit(SCHEDULE)
EVERY = pytest.mark.parametrize("process", [cls() for cls in PROCESSES.values()], ids=list(PROCESSES))


class Recorder(nn.Module):
    """A network that keeps what it is given and answers with a fixed mixture of it."""

    def forward(self, x: Tensor, index: Tensor, y: Tensor) -> Tensor:
        self.seen = (x, index, y)
        return torch.sin(x) + (index / 1000 + y)[:, None]


def queries(process: Process) -> tuple[Tensor, Tensor, Tensor]:
    """Batch at the times where ``process`` has the log SNR of INDICES."""
    x_t = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x_t, process.time(LEVELS[INDICES]), torch.tensor([0, 1, 2, 0, 1, 2])


@EVERY
@pytest.mark.parametrize("prediction", ["eps", "v", "x0"])
def test_the_network_sees_and_says_what_a_direct_call_would(process: Process, prediction: str) -> None:
    network = Recorder()
    adapter = Adapter(network, SCHEDULE, process, 2, (3,), prediction)
    x_t, t, y = queries(process)
    found = adapter(x_t, t, y)
    alpha_hat, sigma_hat = SCHEDULE[INDICES, None].sqrt(), (1 - SCHEDULE[INDICES, None]).sqrt()
    x_vp = x_t * (alpha_hat / process.alpha(t)[:, None])
    x_seen, index_seen, y_seen = network.seen
    torch.testing.assert_close(x_seen, x_vp, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(index_seen, INDICES.double(), rtol=0, atol=1e-4)
    assert torch.equal(y_seen, y)
    output = network(x_vp, INDICES.double(), y)
    x0, eps = {
        "eps": ((x_vp - sigma_hat * output) / alpha_hat, output),
        "v": (alpha_hat * x_vp - sigma_hat * output, sigma_hat * x_vp + alpha_hat * output),
        "x0": (output, (x_vp - alpha_hat * output) / sigma_hat),
    }[prediction]
    torch.testing.assert_close(found.x0, x0, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.eps, eps, rtol=1e-5, atol=1e-5)


def test_an_index_between_two_is_found_in_log_snr_and_the_ends_hold() -> None:
    adapter = Adapter(Recorder(), SCHEDULE, VP(), 2, (3,))
    torch.testing.assert_close(adapter.index(LEVELS), torch.arange(1000.0, dtype=torch.float64), rtol=0, atol=1e-9)
    between = 0.75 * LEVELS[400] + 0.25 * LEVELS[401]
    assert float(adapter.index(between[None])) == pytest.approx(400.25)
    ends = adapter.index(torch.tensor([50.0, -50.0], dtype=torch.float64))
    assert ends.tolist() == [0.0, 999.0]


def test_an_exact_network_on_the_schedule_is_exact_on_another_process() -> None:
    means = torch.tensor([[1.0, -1.0], [0.5, 2.0]], dtype=torch.float64)
    oracles = [GaussianMixture.isotropic(process, means, [0.3, 0.6], [0, 1]) for process in (VP(), VE())]

    class Exact(nn.Module):
        def forward(self, x: Tensor, index: Tensor, y: Tensor) -> Tensor:
            eps: Tensor = oracles[0](x, VP().time(LEVELS[index.round().long()]), y).eps
            return eps

    x_t, y = torch.randn(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)), INDICES % 3
    t = VE().time(LEVELS[INDICES])
    found, expected = Adapter(Exact(), SCHEDULE, VE(), 2, (2,))(x_t, t, y), oracles[1](x_t, t, y)
    torch.testing.assert_close(found.x0, expected.x0, rtol=1e-6, atol=1e-6)


def unet(embeds: int | None, **changed: object) -> UNet2DModel:
    settings = {
        "sample_size": 8,
        "in_channels": 1,
        "out_channels": 1,
        "block_out_channels": (8, 16),
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "down_block_types": ("DownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "UpBlock2D"),
        "num_class_embeds": embeds,
    }
    torch.manual_seed(0)
    return UNet2DModel(**{**settings, **changed}).eval()


@pytest.mark.parametrize("embeds", [None, 4])
@torch.no_grad()
def test_a_diffusers_model_gives_what_its_direct_call_gives(embeds: int | None) -> None:
    model, process = unet(embeds), VP()
    adapter = from_diffusers(model, DDPMScheduler(), process, 3)
    assert adapter.shape == (1, 8, 8)
    x_t = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    y = torch.tensor([0, 1, 2, 3, 3, 0])
    found = adapter(x_t, process.time(LEVELS[INDICES]).float(), y)
    expected = model(x_t, INDICES, class_labels=None if embeds is None else y).sample
    torch.testing.assert_close(found.eps, expected, rtol=1e-4, atol=1e-4)


def test_requests_that_do_not_fit_the_model_are_refused() -> None:
    x_t, t = torch.zeros(1, 1, 8, 8), torch.tensor([0.5])
    adapter = from_diffusers(unet(3), SCHEDULE, VP(), 3)
    assert adapter(x_t, t, torch.tensor([2])).x0.shape == x_t.shape
    with pytest.raises(UsageError, match="no embedding for 'no class'"):
        adapter(x_t, t, torch.tensor([3]))
    with pytest.raises(UsageError, match="embeds 3 classes but 5 were named"):
        from_diffusers(unet(3), SCHEDULE, VP(), 5)
    with pytest.raises(UsageError, match="takes 1 channels and returns 2"):
        from_diffusers(unet(3, out_channels=2), SCHEDULE, VP(), 3)
    with pytest.raises(UsageError, match="did you mean 'eps'"):
        Adapter(Recorder(), SCHEDULE, VP(), 3, (3,), "epsi")
    with pytest.raises(UsageError, match="does not fall strictly"):
        Adapter(Recorder(), SCHEDULE.flip(0), VP(), 3, (3,))
