"""The moving parts of optimisation: learning rate, averaged weights, and the optimiser's state as named tensors.

Law: everything that the next step needs is a tensor with a name, so a checkpoint is a plain safetensors file and a resumed
run takes the same step, bit for bit, as the uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from evenscore.configuration import TrainConfig
from evenscore.denoisers.base import Denoiser
from evenscore.errors import CheckpointError, shown
from evenscore.networks.players import parameter_groups
from evenscore.placement import is_divided, part, placed, whole
from evenscore.ranks import Ranks

STEP, KEPT = "step", ("step", "exp_avg", "exp_avg_sq")
"""What the optimiser keeps of a parameter: steps taken, and the moments of its gradient."""
FLOOR = 0.01
"""Learning rate at the end of the cool-down, as a share of the full rate."""


class Rate(Protocol):
    """A configuration with a learning rate: its value after the warm-up, warm-up in steps, cool-down as a share."""

    @property
    def lr(self) -> float: ...

    @property
    def warmup(self) -> int: ...

    @property
    def cooldown(self) -> float: ...


def learning_rate(config: Rate, step: int, fraction: float) -> float:
    """Rate of a step: linear warm-up in steps, constant, then linear cool-down over the last share of the budget."""
    warm = min(1.0, (step + 1) / config.warmup) if config.warmup else 1.0
    left = min(1.0, (1 - fraction) / config.cooldown) if config.cooldown else 1.0
    return config.lr * warm * max(FLOOR, left)


def make_optimiser(module: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW on all parameters (Loshchilov & Hutter 2019)."""
    return torch.optim.AdamW(
        module.parameters(), lr=config.lr, betas=(0.9, 0.99), weight_decay=config.weight_decay, fused=True
    )


def sum_gradients(module: nn.Module, ranks: Ranks) -> None:
    """Add up over the processes what each found of the gradient; a parameter that none moved keeps none.

    The loss is that of the whole batch in every process (see :mod:`evenscore.networks.divided`): a sum, not a mean. Gradients
    of parameters that are divided have been added up already.
    """
    parameters = [p for p in module.parameters() if p.requires_grad and not is_divided(p)]
    if ranks.size == 1 or not parameters:
        return
    moved = torch.tensor([float(p.grad is not None) for p in parameters])
    ranks.add([moved])
    chosen = [p for p, count in zip(parameters, moved.tolist(), strict=True) if count]
    for p in chosen:
        p.grad = torch.zeros_like(p) if p.grad is None else p.grad
    ranks.add([p.grad for p in chosen if p.grad is not None])


def clip_gradients(module: nn.Module, limit: float) -> Tensor:
    """Scale gradients down to a norm of at most ``limit``; returns the largest norm () that was found.

    The norm is that of all parameters together, but of each separate player by itself: a common norm would let the loss
    of one player change the step of another.
    """
    groups = [group for group in parameter_groups(module) if any(p.grad is not None for p in group)]
    return torch.stack([whole(nn.utils.clip_grad_norm_(group, limit, foreach=True)) for group in groups]).max()


class AveragedWeights:
    """An exponential moving average of the parameters; buffers are copied.

    Args:
        module: a copy of the module whose weights are averaged, as it is at the start; it is taken over.
        decay: largest decay per step; in step s it is at most (1 + s) / (10 + s), so early weights are soon forgotten.
    """

    def __init__(self, module: Denoiser, decay: float) -> None:
        self.module = module.eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Take in the weights after ``step``."""
        decay = min(self.decay, (1 + step) / (10 + step))
        mine = [part(p.data) for p in self.module.parameters()]
        torch._foreach_lerp_(mine, [part(p.data) for p in module.parameters()], 1 - decay)


def optimiser_tensors(optimiser: torch.optim.Optimizer, prefix: str) -> dict[str, Tensor]:
    """The optimiser's state as ``prefix<parameter>.<name>`` tensors."""
    state = optimiser.state_dict()["state"]
    return {
        f"{prefix}{i}.{name}": torch.as_tensor(value) for i, entry in state.items() for name, value in entry.items()
    }


def load_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor], prefix: str) -> None:
    """Put back what :func:`optimiser_tensors` gave.

    Moments get the memory layout of their parameter: the fused optimiser walks both by address.

    Raises:
        CheckpointError: a tensor of no parameter, or of another shape than its parameter.
    """
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key in tensors:
        if key.startswith(prefix):
            value = tensors[key]
            index, _, name = key.removeprefix(prefix).partition(".")
            like = parameters[int(index)] if index.isdecimal() and int(index[:9]) < len(parameters) else None
            if like is None or name not in KEPT or value.shape != (() if name == STEP else like.shape):
                raise CheckpointError(
                    f"the checkpoint holds {shown(key)}, which the optimiser of this network has not: restore the folder"
                )
            laid_out = torch.empty_like(like).copy_(placed(value, like)) if value.shape == like.shape else value.clone()
            state.setdefault(int(index), {})[name] = laid_out
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
