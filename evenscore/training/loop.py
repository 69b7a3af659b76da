"""Training, as a generator: it yields after every step, saves as it goes, and goes on where it was interrupted.

Law: step k draws its batch, noise and dropout from (seed, k) only; weights, averages, optimiser state and what the
objective remembers are saved exactly. So the same command given again after any interruption ends with bit for bit the
weights of the uninterrupted run, and the same best checkpoint, on the same machine and with a budget in steps. Several
processes share the rows of every batch (:mod:`evenscore.ranks`): the losses are those of one process, up to rounding.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor

from evenscore.checkpoint import Checkpoint, complete, load_checkpoint, point, pointed, save_checkpoint
from evenscore.configuration import TrainConfig
from evenscore.data import Augmentation, Dataset, Loader
from evenscore.denoisers.base import Denoiser
from evenscore.denoisers.preconditioned import Conditioned, Preconditioned
from evenscore.errors import CheckpointError, Diverged, RunError
from evenscore.games.base import make_game
from evenscore.objectives import Noised, drop_labels, noised
from evenscore.objectives.levels import draw_times
from evenscore.random import derive_seed, generator, seeded_layers
from evenscore.ranks import current
from evenscore.run import DataCard, Run, load_prefixed
from evenscore.training.class_moments import class_moments
from evenscore.training.criterion import HELD_OUT, Best, Criterion
from evenscore.training.diagnose import Watch
from evenscore.training.meters import ClassMeter, probe_loss
from evenscore.training.optimise import (
    AveragedWeights,
    clip_gradients,
    learning_rate,
    load_optimiser,
    make_optimiser,
    optimiser_tensors,
    sum_gradients,
)
from evenscore.training.preview import save_preview
from evenscore.training.rescue import rate_factor, require_sound, rescued, sentence
from evenscore.training.resolve import resolve
from evenscore.training.shared import require_rows, sharing

SAVE_SECONDS = 60.0
REPORTS = 200
"""Reports written to metrics.jsonl over a whole run."""


@dataclass(frozen=True)
class Progress:
    """Where training stands after a step.

    Attributes:
        step: optimiser steps done.
        fraction: share of the budget used, 0 to 1.
        seconds: seconds spent in training, earlier sessions included.
        remaining: seconds left, estimated from the fraction.
        loss: mean loss since the last report; that of the last report right after one.
        by_group: the same for each class group that was drawn.
        lr: learning rate of the step.
        event: ``step``, ``saved``, ``rolled back``, ``stopped`` (saved, and left because a stop was asked) or ``done``.
        text: what a person should be told; empty where nothing.
    """

    step: int
    fraction: float
    seconds: float
    remaining: float
    loss: float
    by_group: dict[str, float]
    lr: float
    event: str
    text: str = ""


def train(
    data: Dataset, out: Path, config: TrainConfig, stop: Callable[[], bool] = lambda: False
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
    card, ranks = DataCard.of(data), current()
    require_rows(config.batch_size, ranks)
    ranks.lead(lambda: None if Run.exists(out) else Run.create(out, resolve(config, data), card))
    run = Run.open(out)
    with ExitStack() as held:
        ranks.lead(lambda: held.enter_context(run.lock()))
        run = run.adopt(config, card)

        def start(rescues: int) -> Trainer:
            trainer = Trainer(run, data, stop, rescues)
            ranks.lead(run.keep)
            return trainer

        yield from rescued(start)


class Trainer:
    """One training run in this process, alone or with others."""

    def __init__(self, run: Run, data: Dataset, stop: Callable[[], bool] = lambda: False, rescues: int = 0) -> None:
        self.run, self.config, self.data, self.stop, self.rescues = run, run.config, data, stop, rescues
        self.labels, self.ranks = data.distribution, current()
        self.device = Accelerator().device
        with seeded_layers(derive_seed(self.config.seed, "weights")):
            self.model = run.network()
        self.model.to(self.device).train()
        self.denoiser = sharing(self.model, self.ranks)
        self.average = AveragedWeights(self.model, self.config.ema)
        self.optimiser = make_optimiser(self.model, self.config)
        self.loader = Loader(data, self.config.batch_size, self.config.policy, self.config.seed)
        self.augmentation = Augmentation(self.config.augmentation)
        self.spread = float(self.model.std.mean())
        self.meter = ClassMeter(self.labels)
        self.step, self.seconds, self.drawn = 0, 0.0, 0
        self.criterion = Criterion.of(data)
        self.best = Best(self.criterion.key)
        self.objective = self.config.objective.bind(lambda: class_moments(data))
        self.game = make_game(self.config.players, self.objective)
        self.watch = Watch(data, self.config, self.objective)
        self.label_dropout = self.objective.label_dropout(self.config.label_dropout, self.labels)
        self.memory = {key: value.to(self.device) for key, value in self.objective.remember(self.labels).items()}
        self.reported = 0.0
        self.shown: tuple[float, dict[str, float]] = (float("nan"), {})
        self.resume()

    @property
    def fraction(self) -> float:
        """Share of the budget used."""
        if self.config.steps is not None:
            return min(1.0, self.step / self.config.steps)
        return min(1.0, self.seconds / (60 * (self.config.minutes or 1)))

    def run_to_end(self) -> Iterator[Progress]:
        """Steps until the budget is used or a stop is asked."""
        saved = time.monotonic()
        while self.fraction < 1:
            started = time.monotonic()
            lr = self.one_step()
            stop, due = self._agree(started, saved)
            self._show()
            self._report(lr)  # before saving: what a checkpoint counts as done is in the log
            if stop:
                self.save()
                yield self.progress("stopped", lr)
                return
            if due:
                self.save()
                saved = time.monotonic()
                yield self.progress("saved", lr)
            else:
                yield self.progress("step", lr)
        if pointed(self.run.checkpoints, "last") != f"step-{self.step:09d}":
            self.save()
        yield self.progress("done", 0.0)

    def _agree(self, started: float, saved: float) -> tuple[bool, bool]:
        """Count the time of a step, by the first process's clock; whether any is asked to stop, and whether to save."""
        now, mine = time.monotonic(), float(self.ranks.first)
        spent, stop, late = self.ranks.total(
            mine * (now - started), float(self.stop()), mine * (now - saved > SAVE_SECONDS)
        )
        self.seconds += spent
        return stop > 0, self._is_regular or late > 0

    @property
    def _is_regular(self) -> bool:
        return self.config.steps is not None and self.step % self.config.checkpoint_every == 0

    def one_step(self) -> float:
        """One optimiser step; returns its learning rate.

        Raises:
            Diverged: the loss or its gradient is not finite.
        """
        lr = learning_rate(self.config, self.step, self.fraction) * rate_factor(self.rescues)
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        for part in range(self.config.accumulate):
            self._accumulate(self.step * self.config.accumulate + part)
        sum_gradients(self.model, self.ranks)
        self._require_finite(clip_gradients(self.model, self.config.clip), "gradient")
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
        self._require_finite(total, "loss")
        total.backward()  # type: ignore[no-untyped-call]
        self.meter.add(batch.y, loss.detach())
        self.memory = dict(self.objective.learn(self.memory, batch, terms, self.labels))
        self.ranks.copy(list(self.memory.values()))

    def _require_finite(self, value: Tensor, what: str) -> None:
        if not bool(torch.isfinite(value)):
            raise Diverged(f"the {what} became {float(value.detach())}", self.step + 1)

    def _batch(self, draw: int, random: torch.Generator) -> tuple[Denoiser, Noised]:
        """The noised batch, and the denoiser told what augmentation was done to it."""
        index = self.loader.batch(draw)
        x0, extra = self.augmentation(self.data.tensor(index), random)
        y = torch.from_numpy(self.data.labels[index])
        t = draw_times(self.config.noise, len(y), self.model.process, self.spread, random)
        eps = torch.randn(x0.shape, generator=random)
        y_in = drop_labels(y, self.model.null, self.label_dropout, random)
        moved = [v.to(self.device, non_blocking=True) for v in (x0, y, y_in, t, eps)]
        batch = replace(noised(self.model.process, *moved), progress=self.fraction, memory=self.memory)
        if self.augmentation.name == "none":
            return self.denoiser, batch
        return Conditioned(self.denoiser, extra.to(self.device)), batch

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16")

    def progress(self, event: str, lr: float) -> Progress:
        """The state as it is shown to people."""
        done = max(self.fraction, 1e-9)
        remaining = self.seconds * (1 - done) / done
        return Progress(self.step, self.fraction, self.seconds, remaining, *self.shown, lr, event)

    def _show(self) -> None:
        """Take the losses since the last report for those that are shown."""
        self.shown = self.meter.mean(), self.meter.by_group()

    def _report(self, lr: float) -> None:
        if self.fraction < 1 and self.fraction - self.reported < 1 / REPORTS:
            return
        self.reported = self.fraction
        record: dict[str, Any] = {
            "step": self.step,
            "seconds": round(self.seconds, 3),
            "loss": self.meter.mean(),
            "lr": lr,
        }
        record |= {"by_group": self.meter.by_group(), "by_class": self.meter.by_class()}
        self.ranks.lead(lambda: self.run.log(record))
        self.meter.reset()

    def save(self) -> None:
        """Write a checkpoint; move ``best`` to it when its averaged weights meet the criterion better than those before."""
        record = self._judged()
        self.ranks.lead(lambda: self._write(record))

    def _write(self, record: Mapping[str, Any]) -> None:
        self._preview()
        tensors: dict[str, Tensor] = {}
        for prefix, module in (("model.", self.model), ("ema.", self.average.module)):
            tensors |= {prefix + key: value for key, value in module.state_dict().items()}
        tensors |= optimiser_tensors(self.optimiser, "optimiser.")
        tensors |= {"memory." + key: value for key, value in self.memory.items()}
        state = {"step": self.step, "seconds": self.seconds, "drawn": self.drawn, "rescues": self.rescues}
        state |= self.best.state()
        self.run.log(record)
        name = save_checkpoint(self.run.checkpoints, self.step, Checkpoint(tensors, state))
        if self.best.step == self.step:
            point(self.run.checkpoints, "best", name)

    def _judged(self) -> dict[str, Any]:
        """The record of a checkpoint: losses of its averaged weights, by class too, and which checkpoint is best."""
        average = cast(Preconditioned, self.average.module)
        probe = probe_loss(average, self.data, self.config)
        found = self.criterion.measure(average, self.config) if self.criterion.kind == HELD_OUT else probe
        mean = self.ranks.of_first(found.mean)
        require_sound(mean, self.best.value, self.step)
        if self.config.steps is None or self._is_regular or self.fraction >= 1:
            self.best = self.best.or_better(mean, self.step)
        record: dict[str, Any] = {"step": self.step, "probe": probe.mean, "probe_by_class": probe.by_class}
        if self.criterion.kind == HELD_OUT:
            record |= {"held_out": found.mean, "held_out_by_class": found.by_class}
        record["criterion"] = self.criterion.words
        if self.best.step:
            record |= {"best_step": self.best.step, "best": self.best.value}
        return (
            record if not self.ranks.first else record | self.watch(average, self.fraction, self.memory, self.seconds)
        )

    def _preview(self) -> None:
        due = int(self.fraction * self.config.previews)
        if due > self.drawn:
            self.drawn = due
            save_preview(
                self.average.module, self.run.path / "previews" / f"step-{self.step:09d}.png", self.config.seed
            )

    def resume(self) -> None:
        """Take up the last checkpoint, when there is one.

        Raises:
            CheckpointError: it is damaged.
            RunError: it is of another network.
        """
        if pointed(self.run.checkpoints, "last") is None and not complete(self.run.checkpoints):
            self.ranks.lead(lambda: self.run.forget_after(0, max(0, self.rescues - 1)))
            return
        checkpoint = load_checkpoint(self.run.checkpoints)
        load_prefixed(self.model, checkpoint.tensors, "model.", self.run.path)
        load_prefixed(self.average.module, checkpoint.tensors, "ema.", self.run.path)
        load_optimiser(self.optimiser, checkpoint.tensors, "optimiser.")
        self._take_memory(checkpoint.tensors)
        before = self._take_state(checkpoint.state)
        if self.config.steps is not None and self.step > self.config.steps:
            raise RunError(
                f"{self.run.path} has {self.step} steps already, {self.config.steps} were asked: ask for more"
            )
        self.reported = self.fraction
        self.ranks.lead(lambda: self.run.forget_after(self.step, max(before, self.rescues - 1)))
        self.rescues = max(before, self.rescues)

    def _take_memory(self, tensors: Mapping[str, Tensor]) -> None:
        for key, value in self.memory.items():
            found = tensors.get("memory." + key)
            if found is None or found.shape != value.shape:
                raise RunError(
                    f"the last checkpoint in {self.run.checkpoints} does not hold the objective's {key}: restore the folder"
                )
            self.memory[key] = found.to(value)

    def _take_state(self, state: Mapping[str, Any]) -> int:
        """How far training was; returns how often it was rescued until then."""
        try:
            self.step, self.seconds = int(state["step"]), float(state["seconds"])
            self.drawn, rescues = int(state["drawn"]), int(state.get("rescues", 0))
            if min(self.step, self.drawn, rescues) < 0 or not 0 <= self.seconds < float("inf"):
                raise ValueError
            self.best = Best.resumed(self.run, self.criterion, state, str(self.device))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise CheckpointError(
                f"the last checkpoint in {self.run.checkpoints} says nothing of how far training was: "
                "it was not written by training, remove it"
            ) from None
        return rescues

    def rolled_back(self, failed: Diverged) -> Progress:
        """Write down that the run was taken back to here."""
        words = sentence(failed, self.step, self.rescues)
        rate = rate_factor(self.rescues)
        record = {"step": self.step, "rescues": self.rescues, "rate": rate, "failed": failed.step, "text": words}
        self.ranks.lead(lambda: self.run.log(record))
        return replace(self.progress("rolled back", 0.0), text=words)
