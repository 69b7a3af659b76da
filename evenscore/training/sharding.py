"""Networks that are divided among the processes that train them, for those that do not fit into the memory of one device.

Each process keeps its part of every parameter, gradient, average and moment (Rajbhandari et al. 2020, "ZeRO", stage 3; torch's
``fully_shard`` does it). Parameters are put together for the block that is computed, and taken apart after it.

Law: what is trained is what one process would have trained, up to the rounding of sums: names, initial weights and checkpoints
are the same, so a run may go on divided or not, with any number of processes.
"""

from __future__ import annotations

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.downsampling import Downsample2D
from torch import nn

from evenscore.denoisers.preconditioned import Preconditioned
from evenscore.errors import DataError
from evenscore.networks.blocks import Doubling, Residual
from evenscore.networks.mlp import Block
from evenscore.ranks import Ranks

UNITS = (Residual, Attention, Doubling, Downsample2D, Block)
"""Blocks whose parameters are put together at once; the rest of a network is together while any of it is computed."""


def divide(model: Preconditioned, ranks: Ranks, device: torch.device) -> Preconditioned:
    """The model, in place, with the parameters of its backbone divided among the processes and all of it on the device.

    Raises:
        DataError: this torch cannot do it.
    """
    from torch.distributed import device_mesh, fsdp

    if not hasattr(getattr(fsdp, "FSDPModule", None), "set_force_sum_reduction_for_comms"):
        raise DataError(f"shard=on needs a newer torch than {torch.__version__}: update torch, or set shard=off")
    # an output that is a view would lose what fully_shard hangs on it as soon as it is changed in place
    model.backbone.register_forward_hook(lambda _module, _given, out: out.clone())
    mesh = device_mesh.init_device_mesh(device.type, (ranks.size,))
    for module in [*(m for m in model.backbone.modules() if isinstance(m, UNITS)), model.backbone]:
        divided = fsdp.fully_shard(_contiguous(module), mesh=mesh, reshard_after_forward=True)
        # a sum, not a mean: the loss is that of the whole batch in every process
        divided.set_gradient_divide_factor(1.0)
        divided.set_force_sum_reduction_for_comms(True)
    return model.to(device)


def _contiguous(module: nn.Module) -> nn.Module:
    """The module with its parameters laid out by their first axis, by which they are divided."""
    for p in module.parameters():
        p.data = p.data.contiguous()
    return module
