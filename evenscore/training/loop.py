"""Training, as a generator: it yields after every step, saves as it goes, and goes on where it was interrupted.

Law: step k draws its batch, noise and dropout from (seed, k) only; weights, averages, optimiser state and what the
objective remembers are saved exactly. So the same command given again after any interruption ends with bit for bit the
weights of the uninterrupted run, and the same best checkpoint, on the same machine and with a budget in steps. Several
processes share the rows of every batch (:mod:`evenscore.ranks`): the losses are those of one process, up to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor

from evenscore.configuration import TrainConfig
from evenscore.data import Augmentation, Dataset, Loader
from evenscore.denoisers.base import Denoiser
from evenscore.denoisers.preconditioned import Conditioned, Preconditioned
from evenscore.errors import Diverged, RunError
from evenscore.games.base import make_game
from evenscore.objectives import Noised, drop_labels, noised
from evenscore.objectives.levels import draw_times
from evenscore.random import derive_seed, generator, seeded_layers
from evenscore.ranks import current
from evenscore.run import DataCard, Run, load_prefixed
from evenscore.training.class_moments import class_moments
from evenscore.training.criterion import HELD_OUT, Best, Criterion
from evenscore.training.diagnose import Watch
from evenscore.training.machine import Feed, ready
from evenscore.training.meters import probe_loss
from evenscore.training.optimise import (
    AveragedWeights,
    clip_gradients,
    learning_rate,
    load_optimiser,
    make_optimiser,
    optimiser_tensors,
    sum_gradients,
)
from evenscore.training.preview import preview
from evenscore.training.rescue import rate_factor, require_sound, rescued
from evenscore.training.resolve import chosen, resolve
from evenscore.training.sharding import divide
from evenscore.training.shared import require_rows, require_shareable, sharing
from evenscore.training.stepper import Progress, Stepper


def train(
    data: Dataset, out: Path | str, config: TrainConfig, stop: Callable[[], bool] = lambda: False
) -> Iterator[Progress]:
    """Train in the run folder ``out``, or go on where a run there was interrupted.

    Args:
        data: training data.
        out: run folder, made when it does not exist.
        config: what to train; every ``auto`` is resolved and stored.
        stop: asked between steps; when true, a checkpoint is saved and training ends with event ``stopped``.

    Raises:
        RunError: the folder is in use or belongs to another run.
        DataError: the disk is full.
        Diverged: it diverges, and :mod:`~evenscore.training.rescue` has been tried.
    """
    out, card, ranks = Path(out), DataCard.of(data), current()
    require_rows(config.batch_size, ranks)
    require_shareable(config.objective, ranks)
    found = Run.exists(out)
    ranks.lead(lambda: None if found else Run.create(out, resolve(config, data), card))
    run = Run.open(out)
    words = "" if found else chosen(config, run.config)
    with ExitStack() as held:
        ranks.lead(lambda: held.enter_context(run.lock()))
        run = run.adopt(config, card)

        def start(rescues: int) -> Trainer:
            trainer = Trainer(run, data, stop, rescues)
            ranks.lead(run.keep)
            return trainer

        for progress in rescued(start):
            yield replace(progress, text=progress.text or words)
            words = ""


class Trainer(Stepper):
    """One training run in this process, alone or with others."""

    def __init__(self, run: Run, data: Dataset, stop: Callable[[], bool] = lambda: False, rescues: int = 0) -> None:
        super().__init__(run, run.config, stop, rescues)
        self.config, self.data = run.config, data
        self.labels = data.distribution
        self.device, self.divided = Accelerator().device, self.config.shard and self.ranks.size > 1
        self.model = self._untrained().train()
        self.denoiser = sharing(self.model, self.ranks, self.divided)
        self.average = AveragedWeights(self._untrained(), self.config.ema)
        ready(self.model, self.config)
        self.feed = Feed(data, self.device)
        self.optimiser = make_optimiser(self.model, self.config)
        self.loader = Loader(data, self.config.batch_size, self.config.policy, self.config.seed)
        self.augmentation = Augmentation(self.config.augmentation)
        self.spread = float(self.model.std.mean())
        self.criterion = Criterion.of(data)
        self.best = Best(self.criterion.key)
        self.objective = self.config.objective.bind(lambda: class_moments(data))
        self.game = make_game(self.config.players, self.objective)
        self.watch = Watch(data, self.config, self.objective)
        self.label_dropout = self.objective.label_dropout(self.config.label_dropout, self.labels)
        self.memory = {key: value.to(self.device) for key, value in self.objective.remember(self.labels).items()}
        self.losses: list[Tensor] = []
        self.resume()

    def _untrained(self) -> Preconditioned:
        """The network as training starts from it, on the device: the same at every call."""
        with seeded_layers(derive_seed(self.config.seed, "weights")):
            model = self.run.equipped()
        return divide(model, self.ranks, self.device) if self.divided else model.to(self.device)

    def one_step(self) -> float:
        """One optimiser step; returns its learning rate.

        Raises:
            Diverged: the loss or its gradient is not finite.
        """
        lr = learning_rate(self.config, self.step, self.fraction) * rate_factor(self.rescues)
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        first = self.step * self.config.accumulate
        for part in range(self.config.accumulate):
            self._accumulate(first + part)
        sum_gradients(self.model, self.ranks)
        self._require_finite(clip_gradients(self.model, self.config.clip))
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        self.average.update(self.model, self.step)
        return lr

    def _accumulate(self, draw: int) -> None:
        """Forward and backward pass of one batch."""
        random = generator(self.config.seed, "batch", draw)
        denoiser, batch = self._batch(draw, random)
        with seeded_layers(derive_seed(self.config.seed, "layers", draw, *self.ranks.key)), self._autocast():
            terms = self.game(denoiser, batch, self.labels, random)
        loss = torch.stack(list(terms.values())).sum(0)
        total = loss.mean() / self.config.accumulate
        total.backward()  # type: ignore[no-untyped-call]
        self.meter.add(batch.y, loss.detach())
        self.memory = dict(self.objective.learn(self.memory, batch, terms, self.labels))
        self.ranks.copy(list(self.memory.values()))
        self.losses.append(total.detach())

    def _require_finite(self, norm: Tensor) -> None:
        """Refuse losses of the step, or a norm of its gradient, that are not finite: one question to the device."""
        *losses, gradient = torch.stack([*self.losses, norm]).tolist()
        self.losses.clear()
        for what, value in (*(("loss", loss) for loss in losses), ("gradient", gradient)):
            if not math.isfinite(value):
                raise Diverged(f"the {what} became {value}", self.step + 1)

    def _batch(self, draw: int, random: torch.Generator) -> tuple[Denoiser, Noised]:
        """The noised batch, and the denoiser told what augmentation was done to it."""
        index = self.loader.batch(draw)
        x0, extra = self.augmentation(self.feed(index), random)
        y = torch.from_numpy(self.data.labels[index])
        t = draw_times(self.config.noise, len(y), self.model.process, self.spread, random)
        eps = torch.randn(x0.shape, generator=random)
        y_in = drop_labels(y, self.model.null, self.label_dropout, random)
        moved = [self.feed.move(v) for v in (x0, y, y_in, t, eps)]
        batch = replace(noised(self.model.process, *moved), progress=self.fraction, memory=self.memory)
        if self.augmentation.name == "none":
            return self.denoiser, batch
        return Conditioned(self.denoiser, extra.to(self.device)), batch

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16")

    def tensors(self) -> dict[str, Tensor]:
        """Weights, their averages, the optimiser's moments, and what the objective remembers."""
        tensors: dict[str, Tensor] = {}
        for prefix, module in (("model.", self.model), ("ema.", self.average.module)):
            tensors |= {prefix + key: value for key, value in module.state_dict().items()}
        tensors |= optimiser_tensors(self.optimiser, "optimiser.")
        return tensors | {"memory." + key: value for key, value in self.memory.items()}

    def state(self) -> dict[str, Any]:
        """Which checkpoint is best."""
        return self.best.state()

    def pointers(self) -> tuple[str, ...]:
        """``best`` moves to a checkpoint whose averaged weights meet the criterion better than those before."""
        return ("best",) if self.best.step == self.step else ()

    def record(self) -> dict[str, Any]:
        """Losses of the averaged weights, by class too, and which checkpoint is best."""
        average = cast(Preconditioned, self.average.module)
        probe = probe_loss(average, self.data, self.config)
        found = self.criterion.measure(average, self.config) if self.criterion.kind == HELD_OUT else probe
        mean = self.ranks.of_first(found.mean)
        require_sound(mean, self.best.value, self.step)
        if self.config.steps is None or self.is_regular or self.fraction >= 1:
            self.best = self.best.or_better(mean, self.step)
        record: dict[str, Any] = {"step": self.step, "probe": probe.mean, "probe_by_class": probe.by_class}
        if self.criterion.kind == HELD_OUT:
            record |= {"held_out": found.mean, "held_out_by_class": found.by_class}
        record["criterion"] = self.criterion.words
        if self.best.step:
            record |= {"best_step": self.best.step, "best": self.best.value}
        if self.divided or not self.ranks.first:  # no process has the last layer of a divided network for itself
            return record
        return record | self.watch(average, self.fraction, self.memory, self.seconds)

    def preview(self) -> bytes | None:
        """A few samples of each class, of the averaged weights."""
        return preview(self.average.module, self.config.seed)

    def take_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what :meth:`tensors` gave."""
        load_prefixed(self.model, tensors, "model.", self.run.path)
        load_prefixed(self.average.module, tensors, "ema.", self.run.path)
        load_optimiser(self.optimiser, tensors, "optimiser.")
        for key, value in self.memory.items():
            found = tensors.get("memory." + key)
            if found is None or found.shape != value.shape:
                raise RunError(
                    f"the last checkpoint in {self.run.checkpoints} does not hold the objective's {key}: restore the folder"
                )
            self.memory[key] = found.to(value, copy=True)

    def take_state(self, state: Mapping[str, Any]) -> None:
        """Take up which checkpoint is best."""
        self.best = Best.resumed(self.run, self.criterion, state, str(self.device))
