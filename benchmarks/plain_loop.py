"""The loop that one writes with diffusers and accelerate: the other side of a comparison of training speed.

Its parts are those of diffusers' own training examples: ``UNet2DModel``, ``DDPMScheduler.add_noise``, the squared error of the
noise, ``Accelerator`` for precision, backward pass and clipping, AdamW, ``EMAModel``, and the loss read once a step for a log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from diffusers import DDPMScheduler, UNet2DModel
from diffusers.training_utils import EMAModel
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from evenscore.data import Dataset
from evenscore.networks.unet import UNET_SIZES

MIXED = {"float32": "no", "bfloat16": "bf16"}
"""Names of our precisions for accelerate."""
LEVELS = 1000


def plain_step(data: Dataset, network: str, batch: int, precision: str) -> tuple[Callable[[], None], int]:
    """A step of the loop on the network of a named size, and the number of parameters.

    Where the network sees patches, images are cut into them before the loop starts.
    """
    AcceleratorState._reset_state(True)  # it holds one precision for a whole process
    accelerator = Accelerator(mixed_precision=MIXED[precision])
    unet, patch = plain_unet(data, network)
    optimiser = torch.optim.AdamW(unet.parameters(), lr=1e-4)
    average = EMAModel(unet.parameters(), decay=0.999)
    images = F.pixel_unshuffle(data.tensor(), patch)
    pairs = TensorDataset(images, torch.from_numpy(data.labels))
    loader = DataLoader(pairs, batch_size=batch, shuffle=True, drop_last=True)
    net, optimiser, loader = accelerator.prepare(unet, optimiser, loader)
    scheduler, batches = DDPMScheduler(LEVELS), _forever(loader)

    def step() -> None:
        x0, y = next(batches)
        noise, t = torch.randn_like(x0), torch.randint(0, LEVELS, (len(x0),), device=x0.device)
        noisy = scheduler.add_noise(x0, noise, t)
        loss = F.mse_loss(net(noisy, t, class_labels=y).sample.float(), noise)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        average.step(unet.parameters())
        loss.detach().item()

    return step, sum(p.numel() for p in unet.parameters())


def plain_unet(data: Dataset, network: str) -> tuple[UNet2DModel, int]:
    """diffusers' network of a named size for a data set, as diffusers makes it, and the side of its patches."""
    size, (channels, height, width) = UNET_SIZES[network], data.shape
    patch = size.patch(height, width)
    unet = UNet2DModel(
        sample_size=max(height, width) // patch,
        in_channels=channels * patch**2,
        out_channels=channels * patch**2,
        layers_per_block=size.layers,
        block_out_channels=size.channels,
        down_block_types=tuple("AttnDownBlock2D" if a else "DownBlock2D" for a in size.attention),
        up_block_types=tuple("AttnUpBlock2D" if a else "UpBlock2D" for a in reversed(size.attention)),
        norm_num_groups=size.groups,
        attention_head_dim=size.head_dim,
        dropout=size.dropout,
        num_class_embeds=data.num_classes + 1,
        resnet_time_scale_shift="scale_shift",
    )
    return unet, patch


def _forever(loader: DataLoader[tuple[Tensor, ...]]) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield from loader  # type: ignore[misc]
