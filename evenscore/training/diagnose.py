"""What a game looks like while it is trained: three numbers at each checkpoint, on fixed probe rows and the averaged weights.

* ``disagreement``: squared distance of a player's noise prediction to those of other players at the same noisy input, times
  the coupling's time weight (``reference`` where the objective has no coupling), mean over rows and elements;
* ``gradient_proxy``: the largest norm, over players, of the gradient of a player's own loss in its last layer: a proxy of
  the Nash gap, nothing more;
* ``last_layer_gap``: the largest exact Nash gap where a player may move its last layer only. Its loss is then quadratic,

      L_k(A) = 1/2 mean |A phi - F*|^2 + 1/2 mean omega sum_j Q_kj |A phi - F_j|^2 + mu/2 |A - A_k|^2,

  with the predictions ``F_j`` of others as they are, and mu a tenth of the mean curvature, because the rows are few. It is
  the gap on training samples, in units of the denoising loss.

Law: diagnosing changes no weight and draws from no generator that training draws from. At most :data:`CLASSES` classes and
:data:`OPPONENTS` others of each are looked at, so the cost does not grow with the number of classes; and :class:`Watch` leaves
a checkpoint out where it would take more than :data:`SHARE` of the training time since the last diagnosis.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from evenscore.configuration import TrainConfig
from evenscore.data import Dataset
from evenscore.denoisers.preconditioned import Preconditioned
from evenscore.games.base import ClassGame
from evenscore.games.quadratic import solve_rows
from evenscore.networks.heads import feature_rows, last_layers, target_rows, trunk_of
from evenscore.networks.players import SeparatePlayers, TrunkPlayers
from evenscore.objectives import Composed, Noised, Objective
from evenscore.objectives.coupling import Coupled, Coupling
from evenscore.objectives.time_weight import TIME_WEIGHTS
from evenscore.process import expand
from evenscore.random import generator
from evenscore.training.meters import probe_batch

CLASSES = 10
OPPONENTS = 3
RIDGE = 0.1
SHARE = 0.03
"""Of the training time, at most."""


def is_game(config: TrainConfig) -> bool:
    """Whether a run is diagnosed as a game: its objective couples classes, or its labels have parameters of their own.

    A network with reserved capacity is not: its last layer is not all that its trunk's features meet.
    """
    if config.objective.needs("reserve"):
        return False
    return config.players != "shared" or _coupling(config.objective) is not None


class Watch:
    """Diagnoses a run now and then: at its first and its last checkpoint, and between them where it costs little.

    Args:
        data: the training set.
        config: of the run.
        objective: that of the configuration, bound to the data.
    """

    def __init__(self, data: Dataset, config: TrainConfig, objective: Objective) -> None:
        self.data, self.config, self.objective = data, config, objective
        self.cost, self.last = 0.0, 0.0

    def __call__(
        self, denoiser: Preconditioned, progress: float, memory: Mapping[str, Tensor], seconds: float
    ) -> dict[str, Any]:
        """The entry ``game`` of a checkpoint's record, or nothing.

        Args:
            denoiser: with averaged weights.
            progress: share of the budget used.
            memory: what the objective remembers.
            seconds: spent in training so far.
        """
        if not is_game(self.config) or (progress < 1 and self.cost > SHARE * (seconds - self.last)):
            return {}
        started = time.monotonic()
        found = diagnose(denoiser, self.data, self.config, self.objective, progress, memory)
        self.cost, self.last = time.monotonic() - started, seconds
        return {"game": found}


@dataclass(frozen=True)
class _Player:
    """What is known of one player on the rows of its class: quantities of the module's law."""

    disagreement: float
    gap: float


def diagnose(
    denoiser: Preconditioned,
    data: Dataset,
    config: TrainConfig,
    objective: Objective,
    progress: float = 1.0,
    memory: Mapping[str, Tensor] | None = None,
) -> dict[str, Any]:
    """The three numbers, and the first and the last by class, as plain values.

    Args:
        denoiser: with averaged weights, in evaluation mode.
        data: the training set.
        config: of the run.
        objective: that of the configuration, bound to the data.
        progress: share of the budget used.
        memory: what the objective remembers.
    """
    classes = chosen_classes(data.distribution.counts)
    probe = replace(probe_batch(denoiser, data, config, classes), progress=progress, memory=memory or {})
    players = {k: _player(denoiser, data, objective, probe, k, classes) for k in classes}
    gradients = gradient_norms(denoiser, data, config, objective, probe)
    return {
        "disagreement": sum(p.disagreement for p in players.values()) / len(players),
        "gradient_proxy": max(gradients.values()),
        "last_layer_gap": max(p.gap for p in players.values()),
        "disagreement_by_class": {str(k): round(p.disagreement, 8) for k, p in players.items()},
        "last_layer_gap_by_class": {str(k): round(p.gap, 8) for k, p in players.items()},
    }


def chosen_classes(counts: tuple[int, ...]) -> tuple[int, ...]:
    """At most :data:`CLASSES` classes with samples, evenly from the largest to the smallest."""
    order = [k for k in sorted(range(len(counts)), key=lambda k: -counts[k]) if counts[k] > 0]
    number = min(CLASSES, len(order))
    return tuple(order[round(i * (len(order) - 1) / max(1, number - 1))] for i in range(number))


def gradient_norms(
    denoiser: Preconditioned, data: Dataset, config: TrainConfig, objective: Objective, probe: Noised
) -> dict[int, float]:
    """Norm of the gradient of each player's loss in the last layers, by player; no parameter's gradient is touched."""
    last = [p for layer in _last_layers(denoiser.backbone) for p in layer.parameters()]
    asked = [p.requires_grad for p in denoiser.parameters()]
    denoiser.requires_grad_(False)
    try:
        for p in last:
            p.requires_grad_(True)
        with torch.enable_grad():
            game = ClassGame(objective)
            terms = game(denoiser, probe, data.distribution, generator(config.seed, "diagnose"))
            losses = game.losses(terms, probe)
            found = {
                k: torch.autograd.grad(loss, last, retain_graph=True, allow_unused=True) for k, loss in losses.items()
            }
    finally:
        for p, mode in zip(denoiser.parameters(), asked, strict=True):
            p.requires_grad_(mode)
    return {k: sum(float(g.square().sum()) for g in parts if g is not None) ** 0.5 for k, parts in found.items()}


def _last_layers(backbone: nn.Module) -> list[nn.Module]:
    """Modules of which players' last layers are made."""
    if isinstance(backbone, SeparatePlayers):
        return [trunk_of(player).outward for player in backbone.players]
    trunk = trunk_of(backbone)
    return [trunk.outward, trunk.outer, trunk.offset] if isinstance(trunk, TrunkPlayers) else [trunk.outward]


@torch.no_grad()
def _player(
    denoiser: Preconditioned, data: Dataset, objective: Objective, probe: Noised, k: int, classes: tuple[int, ...]
) -> _Player:
    """Disagreement and gap of player k on its rows of the probe."""
    index = (probe.y == k).nonzero()[:, 0]
    x0, t, eps, x_t, y = (v[index] for v in (probe.x0, probe.t, probe.eps, probe.x_t, probe.y))
    seen, level = denoiser.seen(x_t, t)
    backbone = denoiser.backbone
    trunk = trunk_of(backbone.players[k] if isinstance(backbone, SeparatePlayers) else backbone)
    mine = torch.zeros_like(y) if isinstance(backbone, SeparatePlayers) else y
    own = last_layers(trunk, mine[:1])[0]
    phi = feature_rows(trunk, trunk.features(seen, level, mine)).double()
    target = target_rows(trunk, denoiser.raw_target(x0, t, eps)).double()

    others = opponents(k, classes)
    raw = [backbone(seen, level, torch.full_like(y, j)) for j in (k, *others)]
    share = _share(denoiser, t, x0)
    apart = [(share * (there - raw[0])).square().flatten(1).mean(1) for there in raw[1:]]
    coupling = _coupling(objective)
    u = TIME_WEIGHTS["reference" if coupling is None else coupling.time_weight](denoiser.process.log_snr(t))
    disagreement = sum(float((u * d).mean()) for d in apart) / max(1, len(apart))

    pull = torch.zeros(len(y), dtype=torch.float64, device=y.device)
    if coupling is not None and others:
        part = replace(probe, x0=x0, y=y, y_in=y, t=t, eps=eps, x_t=x_t)
        weight = coupling.weights(denoiser, part, data.distribution).double()
        mass = 1.0 if coupling.law in ("similarity", "null") else 1 - 1 / data.num_classes
        pull = mass * weight * share.double().square().flatten(1).mean(1)
    toward = [target_rows(trunk, there).double() for there in raw[1:]] or [target]
    mean = torch.stack(toward).mean(0)
    return _Player(disagreement, _gap(phi, target, pull, mean, own))


def _gap(phi: Tensor, target: Tensor, pull: Tensor, mean: Tensor, own: Tensor) -> float:
    """The exact gap of the module's law; the others' mean stands for them, which moves the loss by a constant.

    Args:
        phi: (B, L, F) features.
        target: (B, L, D) F*, nan where there is no pixel.
        pull: (B,) weight of the coupling on raw outputs, all others together.
        mean: (B, L, D) what the others predict, on average.
        own: (D, F) the player's last layer.
    """
    whole = target.isfinite().all(2)
    rows, aim, others = phi[whole], target[whole], mean[whole]
    weight = pull[:, None].expand(whole.shape)[whole][:, None]
    hessian = ((1 + weight) * rows).T @ rows / len(rows)
    mu = RIDGE * hessian.diagonal().mean()
    wanted = ((aim + weight * others).T @ rows) / len(rows) + mu * own
    hessian.diagonal().add_(mu)
    away = own - solve_rows(hessian[None], wanted[None])[0]
    return float(((away @ hessian) * away).sum() / len(own))


def opponents(k: int, classes: tuple[int, ...]) -> tuple[int, ...]:
    """At most :data:`OPPONENTS` other classes, spread evenly over ``classes`` after k."""
    others = [*classes[classes.index(k) + 1 :], *classes[: classes.index(k)]]
    number = min(OPPONENTS, len(others))
    return tuple(others[i * len(others) // number] for i in range(number))


def _share(denoiser: Preconditioned, t: Tensor, like: Tensor) -> Tensor:
    """``alpha d / s``: how much of a raw output's change shows in the noise prediction."""
    alpha, sigma = (expand(c, like) for c in (denoiser.process.alpha(t), denoiser.process.sigma(t)))
    return alpha * denoiser.std / (alpha.square() * denoiser.std.square() + sigma.square()).sqrt()


def _coupling(objective: Objective) -> Coupling | None:
    """The coupling of classes in an objective, if it has one."""
    parts = objective.named.values() if isinstance(objective, Composed) else (objective,)
    pulls = [part.pull() for part in parts if isinstance(part, Coupled)]
    return next((pull for pull in pulls if pull.law != "null"), None)
