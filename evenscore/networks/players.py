"""Forms of the players of a game: how much of the network belongs to one label alone.

A player is a label, the null label included, so K classes have K + 1 players. Three forms, from all shared to nothing:

* ``shared``: one conditional network, the plain backbone;
* ``trunk`` (:class:`TrunkPlayers`): one backbone, whose last layer has a low-rank correction for each label;
* ``separate`` (:class:`SeparatePlayers`): a network for each label, which knows no other.

Laws: row i of a batch is computed by the player of its label ``y[i]``. So with ``separate`` the gradient of a row moves its
own player's parameters only, and with ``trunk`` the trunk and its own player's correction only. All rows are computed with
the parameters as they are before the step: a training step is a simultaneous (Jacobi) step of all players of the batch.
"""

from __future__ import annotations

import copy
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from evenscore.errors import UsageError, unknown
from evenscore.networks.mlp import MLP

PLAYERS = ("shared", "trunk", "separate")
"""One conditional network; a trunk with a low-rank strategy for each label; a network for each label."""
EVALUATIONS = ("auto", "loop", "stacked")
PADDING, SMALL, MANY = 3.0, 100_000, 8
"""Players are computed at once where padding their rows to equal numbers costs at most a factor of ``PADDING``, and, on a
processor, where a network has at most ``SMALL`` parameters and ``MANY`` labels have rows: above, stacking costs more than
it saves (measured on one thread: 0.43 to 0.9 of the loop's time below, 1.2 to 2.9 times for 450,000 parameters and more)."""


class Backbone(Protocol):
    """A network made of a trunk, a last learned layer, and an arrangement of its output."""

    @property
    def outward(self) -> nn.Module:
        """The last learned layer."""
        ...

    def features(self, x: Tensor, level: Tensor, y: Tensor, extra: Tensor | None = None) -> Tensor:
        """Trunk features."""
        ...

    def observed_features(
        self, x: Tensor, level: Tensor, y: Tensor, extra: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Trunk features, and latents (B, F)."""
        ...

    def finish(self, out: Tensor) -> Tensor:
        """What the last layer gives, as samples."""
        ...


class TrunkPlayers(nn.Module):
    """One backbone with a low-rank correction of its last layer for each label.

    With trunk features h, last layer ``W h + b`` and label y, the output is ``(W + U_y V_y) h + b + c_y``. ``V_y`` maps the
    channels of h to ``rank`` channels at each position, and ``U_y`` is a convolution of the same size as W. ``U_y`` and ``c_y``
    start at zero, so the untrained model equals its backbone exactly; ``V_y`` starts random, so that ``U_y`` has a gradient.
    The batch is computed at once, and what it costs does not depend on the number of labels.

    Args:
        backbone: an :class:`~evenscore.networks.unet.ImageUNet` or :class:`~evenscore.networks.mlp.MLP`.
        num_labels: K + 1.
        rank: channels between ``V_y`` and ``U_y``.
    """

    def __init__(self, backbone: nn.Module, num_labels: int, rank: int) -> None:
        super().__init__()
        self.backbone = backbone
        weight = cast(Tensor, self._parts.outward.weight)
        self.rank, self.kernel = rank, weight.shape[2:]
        outside, inside = weight.shape[:2]
        self.inner = nn.Embedding(num_labels, rank * inside)
        self.outer = nn.Embedding(num_labels, outside * rank * self.kernel.numel())
        self.offset = nn.Embedding(num_labels, outside)
        nn.init.normal_(self.inner.weight, std=inside**-0.5)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.offset.weight)

    @property
    def _parts(self) -> Backbone:
        return cast(Backbone, self.backbone)

    @property
    def outward(self) -> nn.Module:
        """The last layer that all labels share."""
        return self._parts.outward

    def features(self, x: Tensor, level: Tensor, y: Tensor, extra: Tensor | None = None) -> Tensor:
        """Trunk features, what :attr:`outward` is given."""
        return self._parts.features(x, level, y, extra)

    def observed_features(
        self, x: Tensor, level: Tensor, y: Tensor, extra: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Trunk features, and the latents that all labels share."""
        return self._parts.observed_features(x, level, y, extra)

    def finish(self, out: Tensor) -> Tensor:
        """What the last layer gives, as samples."""
        return self._parts.finish(out)

    def observe(self, x: Tensor, level: Tensor, y: Tensor, extra: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Raw output (B, ...), and latents (B, F) of the same pass."""
        h, latents = self.observed_features(x, level, y, extra)
        return self.read(h, y), latents

    def forward(self, x: Tensor, level: Tensor, y: Tensor, extra: Tensor | None = None) -> Tensor:
        """Raw output (B, ...) of the players ``y`` (B,)."""
        return self.read(self.features(x, level, y, extra), y)

    def read(self, h: Tensor, y: Tensor) -> Tensor:
        """The raw output (B, ...) of trunk features under the strategies of the labels ``y`` (B,)."""
        return self.finish(self.outward(h) + self.correction(h, y))

    def correction(self, h: Tensor, y: Tensor) -> Tensor:
        """What the strategies of the labels ``y`` (B,) add to the last layer's output for trunk features ``h``."""
        n, at = len(y), h.shape[2:]
        inner = self.inner(y).reshape(n, self.rank, -1)
        outer = self.outer(y).reshape(n, self.offset.embedding_dim, -1)
        narrow = inner @ h.reshape(n, h.shape[1], -1)
        if self.kernel:
            narrow = F.unfold(
                narrow.reshape(n, self.rank, *at), self.kernel, padding=tuple(k // 2 for k in self.kernel)
            )
        added: Tensor = outer @ narrow + self.offset(y)[:, :, None]
        return added.reshape(n, -1, *at)


class SeparatePlayers(nn.Module):
    """A network for each label, none of which is told a label.

    All players start from the same weights. Rows are grouped by label and each group is computed by its player: one after
    the other (``loop``), or, with parameters stacked and groups padded to equal numbers, all at once (``stacked``, for an
    :class:`~evenscore.networks.mlp.MLP`); ``auto`` stacks where it is quicker, see :data:`SMALL`. Both give the same result
    up to rounding. Under ``loop`` a player's output does not depend on which other players have rows, bit for bit (in a
    network without dropout, whose masks are drawn in turn).

    Args:
        backbone: a network for no classes, which is called with label 0 only; it becomes the first player.
        num_labels: K + 1.
        evaluation: one of :data:`EVALUATIONS`.

    Raises:
        UsageError: an unknown evaluation, or a backbone that cannot be stacked.
    """

    def __init__(self, backbone: nn.Module, num_labels: int, evaluation: str = "auto") -> None:
        super().__init__()
        if evaluation not in EVALUATIONS:
            raise unknown("evaluation", evaluation, EVALUATIONS)
        if evaluation == "stacked" and not isinstance(backbone, MLP):
            raise UsageError(f"evaluation=stacked needs an MLP, not a {type(backbone).__name__}: use evaluation=loop")
        self.players = nn.ModuleList([backbone, *(copy.deepcopy(backbone) for _ in range(num_labels - 1))])
        self.evaluation = evaluation

    def forward(self, x: Tensor, level: Tensor, y: Tensor, extra: Tensor | None = None) -> Tensor:
        """Raw output (B, ...) of the players ``y`` (B,).

        Raises:
            IndexError: a label that is no player's.
        """
        present, group, counts = y.unique(return_inverse=True, return_counts=True)  # type: ignore[no-untyped-call]
        labels = present.tolist()
        if labels[0] < 0 or labels[-1] >= len(self.players):
            raise IndexError(f"labels from {labels[0]} to {labels[-1]} for the players 0 to {len(self.players) - 1}")
        players = [self.players[k] for k in labels]
        order, sizes = group.argsort(stable=True), counts.tolist()
        rows = list(order.split(sizes))
        compute = _together if self._stacks(sizes, x.device.type) else _in_turn
        return compute(players, rows, x, level, extra)[order.argsort()]

    def _stacks(self, sizes: list[int], device: str) -> bool:
        if self.evaluation != "auto":
            return self.evaluation == "stacked"
        if not isinstance(self.players[0], MLP) or len(sizes) * max(sizes) > PADDING * sum(sizes):
            return False
        return device != "cpu" or (len(sizes) >= MANY and _parameters(self.players[0]) <= SMALL)


def _in_turn(players: list[nn.Module], rows: list[Tensor], x: Tensor, level: Tensor, extra: Tensor | None) -> Tensor:
    """Outputs of each player for its rows, player after player."""
    outs = []
    for player, mine in zip(players, rows, strict=True):
        told = None if extra is None else extra[mine]
        outs.append(player(x[mine], level[mine], torch.zeros_like(mine), told))
    return torch.cat(outs)


def _together(players: list[nn.Module], rows: list[Tensor], x: Tensor, level: Tensor, extra: Tensor | None) -> Tensor:
    """The same as :func:`_in_turn`, computed at once: groups are padded with row 0, and what comes of it is left out."""
    table = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    real = nn.utils.rnn.pad_sequence([torch.ones_like(mine) for mine in rows], batch_first=True).bool()
    weights = _stacked([dict(player.named_parameters()) for player in players])
    buffers = _stacked([dict(player.named_buffers()) for player in players])

    def one(state: dict[str, Tensor], x: Tensor, level: Tensor, extra: Tensor | None) -> Tensor:
        zero = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        out: Tensor = functional_call(players[0], state, (x, level, zero, extra))
        return out

    told = None if extra is None else extra[table]
    over = torch.vmap(one, in_dims=(0, 0, 0, None if extra is None else 0), randomness="different")
    out: Tensor = over({**weights, **buffers}, x[table], level[table], told)
    return out[real]


def _stacked(states: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Tensors of equal names on a new first axis; gradients reach each of them (``stack_module_state`` cuts them off)."""
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


def _parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def parameter_groups(module: nn.Module) -> list[list[nn.Parameter]]:
    """Trainable parameters, in groups that no loss moves together: those of each separate player, and all others."""
    groups, seen = [], set[int]()
    for part in module.modules():
        if isinstance(part, SeparatePlayers):
            groups += [list(player.parameters()) for player in part.players]
            seen |= {id(p) for p in part.parameters()}
    rest = [p for p in module.parameters() if id(p) not in seen]
    return [*groups, rest] if rest else groups
