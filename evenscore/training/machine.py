"""How a run uses the machine: data that wait where they are needed, activations kept or computed again, a compiled network.

Law: nothing here changes what a step computes: a batch of :class:`Feed` equals ``Dataset.tensor``, activations that are
computed again give the same gradients, and compiling changes rounding at most. Names of parameters stay as they are.
"""

from __future__ import annotations

import shutil
import sys

import numpy as np
import torch
from diffusers import UNet2DModel
from numpy.typing import NDArray
from torch import Tensor, nn

from evenscore.configuration import TrainConfig
from evenscore.data import Dataset
from evenscore.data.pixels import scaled
from evenscore.errors import DataError
from evenscore.networks import SeparatePlayers

SHARE = 0.2
"""Largest share of the free memory of an accelerator that the data may take."""
BACKEND = "inductor"
COMPILERS = ("c++", "g++", "clang++", "cl")


class Feed:
    """Batches of a data set on a device.

    On an accelerator the values wait there, as bytes, where they take at most :data:`SHARE` of its free memory; else
    batches are copied from page-locked memory, which goes on while the device computes. On a processor nothing is kept.

    Args:
        data: the samples.
        device: where batches are wanted.
        room: bytes that may be kept on the device; None to look.
    """

    def __init__(self, data: Dataset, device: torch.device, room: int | None = None) -> None:
        self.data, self.device = data, device
        room = _room(device) if room is None else room
        self.kept = torch.from_numpy(data.values).to(device) if data.values.nbytes <= room else None

    def __call__(self, index: NDArray[np.int64]) -> Tensor:
        """The samples at ``index`` (B,) as float32, (B, ...): on the device where they are kept, else in main memory."""
        if self.kept is None:
            return self.data.tensor(index)
        chosen = self.kept[self.move(torch.from_numpy(index))]
        return scaled(chosen.movedim(-1, 1)) if self.data.kind == "image" else chosen

    def move(self, value: Tensor) -> Tensor:
        """The value on the device; from main memory by way of page-locked memory, without waiting."""
        if self.device.type == "cuda" and not value.is_cuda:
            value = value.pin_memory()
        return value.to(self.device, non_blocking=True)


def _room(device: torch.device) -> int:
    return int(SHARE * torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else 0


def ready(model: nn.Module, config: TrainConfig) -> None:
    """Make the model's networks compute activations again, or compile them, as the configuration asks.

    Raises:
        DataError: there is no compiler.
    """
    if config.checkpoint_activations:
        for module in model.modules():
            if isinstance(module, UNet2DModel):
                module.enable_gradient_checkpointing()
    if config.compile:
        _require_compiler()
        for network in _networks(model):
            network.compile(backend=BACKEND)


def _networks(model: nn.Module) -> list[nn.Module]:
    """The backbone, or each of separate players."""
    backbone = model.get_submodule("backbone")
    return list(backbone.players) if isinstance(backbone, SeparatePlayers) else [backbone]


def _require_compiler() -> None:
    if torch.cuda.is_available() or any(map(shutil.which, COMPILERS)):
        return
    raise DataError(
        f"compile=on needs a C++ compiler ({', '.join(COMPILERS[:3])}), and none was found on this {sys.platform} machine: "
        "install one, or leave compile off"
    )
