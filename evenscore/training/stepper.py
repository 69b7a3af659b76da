"""A job of many steps in a run folder: its budget, what it reports, when it saves, how it stops and where it goes on.

Law: what comes of a job depends on what its checkpoints hold and on the numbers of its steps, never on where it was cut off;
and the log has what a checkpoint counts as done. So a job that was interrupted at any instant goes on as if it had not been.

What a step does, and what is kept of it, says the job (:class:`Stepper` is abstract).
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from torch import Tensor

from evenscore.checkpoint import (
    Checkpoint,
    checkpoint_name,
    complete,
    load_checkpoint,
    make_folder,
    pointed,
    save_checkpoint,
    write_atomic,
)
from evenscore.errors import CheckpointError, Diverged, RunError
from evenscore.pieces import exhaust
from evenscore.placement import Relayed
from evenscore.ranks import current
from evenscore.run import Run
from evenscore.training.meters import ClassMeter
from evenscore.training.rescue import rate_factor, sentence

SAVE_SECONDS = 60.0
REPORTS = 200
"""Reports written to metrics.jsonl over a whole job."""


@dataclass(frozen=True)
class Progress:
    """Where a job stands after a step.

    Attributes:
        step: steps done.
        fraction: share of the budget used, 0 to 1.
        seconds: seconds spent in steps, earlier sessions included.
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


class Schedule(Protocol):
    """A configuration with a budget in steps or minutes, steps between checkpoints, and previews over the whole job."""

    @property
    def steps(self) -> int | None: ...

    @property
    def minutes(self) -> float | None: ...

    @property
    def checkpoint_every(self) -> int: ...

    @property
    def previews(self) -> int: ...


class Stepper(ABC):
    """A job of many steps in this process. A job calls :meth:`resume` once it can take up a checkpoint.

    Args:
        run: where it works.
        schedule: how long, and when to save.
        stop: asked between steps; when true, a checkpoint is saved and the job ends with event ``stopped``.
        rescues: how often it was rescued, at least.
    """

    def __init__(self, run: Run, schedule: Schedule, stop: Callable[[], bool], rescues: int) -> None:
        self.run, self.schedule, self.stop, self.rescues = run, schedule, stop, rescues
        self.ranks = current()
        self.meter = ClassMeter(run.card.labels)
        self.step, self.seconds, self.drawn = 0, 0.0, 0
        self.reported, self.divided = 0.0, False
        self.shown: tuple[float, dict[str, float]] = (float("nan"), {})

    @abstractmethod
    def one_step(self) -> float:
        """One step, counted in ``step``, its losses in ``meter``; returns its learning rate.

        Raises:
            Diverged: it cannot go on.
        """

    @abstractmethod
    def record(self) -> dict[str, Any]:
        """What is logged of a checkpoint.

        Raises:
            Diverged: the weights are not worth keeping.
        """

    @abstractmethod
    def preview(self) -> bytes | None:
        """A picture of what has been learned, as a PNG file; None where there can be none."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Everything that the next step needs, by name."""

    @abstractmethod
    def take_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what :meth:`tensors` gave.

        Raises:
            CheckpointError, RunError: it is of another job.
        """

    def state(self) -> dict[str, Any]:
        """Plain values to be kept beside the tensors."""
        return {}

    def take_state(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`state` gave; LookupError, TypeError or ValueError where it cannot be that."""
        return

    def pointers(self) -> tuple[str, ...]:
        """Pointers that move to the checkpoint of this step, beside ``last``."""
        return ()

    @property
    def fraction(self) -> float:
        """Share of the budget used."""
        if self.schedule.steps is not None:
            return min(1.0, self.step / self.schedule.steps)
        return min(1.0, self.seconds / (60 * (self.schedule.minutes or 1)))

    @property
    def is_regular(self) -> bool:
        """Whether a checkpoint is due at this step under a budget in steps, wherever the job was cut off."""
        return self.schedule.steps is not None and self.step % self.schedule.checkpoint_every == 0

    def run_to_end(self) -> Iterator[Progress]:
        """Steps until the budget is used or a stop is asked."""
        saved = time.monotonic()
        while self.fraction < 1:
            started = time.monotonic()
            with self.ranks.meeting():
                lr = self.one_step()
            stop, due = self._agree(started, saved)
            self.shown = self.meter.mean(), self.meter.by_group()
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
        if pointed(self.run.checkpoints, "last") != checkpoint_name(self.step):
            self.save()
        yield self.progress("done", 0.0)

    def _agree(self, started: float, saved: float) -> tuple[bool, bool]:
        """Count the time of a step, by the first process's clock; whether any is asked to stop, and whether to save."""
        now, mine = time.monotonic(), float(self.ranks.first)
        spent, stop, late = self.ranks.total(
            mine * (now - started), float(self.stop()), mine * (now - saved > SAVE_SECONDS)
        )
        self.seconds += spent
        return stop > 0, self.is_regular or late > 0

    def progress(self, event: str, lr: float) -> Progress:
        """The state as it is shown to people."""
        done = max(self.fraction, 1e-9)
        remaining = self.seconds * (1 - done) / done
        return Progress(self.step, self.fraction, self.seconds, remaining, *self.shown, lr, event)

    def _report(self, lr: float) -> None:
        if self.fraction < 1 and self.fraction - self.reported < 1 / REPORTS:
            return
        self.reported = self.fraction
        record: dict[str, Any] = {"step": self.step, "seconds": round(self.seconds, 3), "loss": self.meter.mean()}
        record |= {"lr": lr, "by_group": self.meter.by_group(), "by_class": self.meter.by_class()}
        self.ranks.lead(lambda: self.run.log(record))
        self.meter.reset()

    def save(self) -> None:
        """Write a checkpoint, its record and, where one is due, a preview.

        Raises:
            Diverged: the weights are not worth keeping.
            DataError: the disk is full.
        """
        with self.ranks.meeting():
            record, picture = self.record(), self._picture()
        state = {"step": self.step, "seconds": self.seconds, "drawn": self.drawn, "rescues": self.rescues}
        content = Checkpoint(self.tensors(), state | self.state()).content()
        with self.ranks.meeting():
            self.ranks.lead(lambda: self._write(record, picture, content), lambda: self._meanwhile(content))

    def _meanwhile(self, content: Iterable[bytes]) -> None:
        """What the other processes do while the first one writes: their part in putting a divided network together."""
        if self.divided:
            exhaust(content)

    def _picture(self) -> bytes | None:
        due = int(self.fraction * self.schedule.previews)
        if due <= self.drawn:
            return None
        self.drawn = due
        return self.preview()

    def _write(self, record: Mapping[str, Any], picture: bytes | None, content: Iterable[bytes]) -> None:
        try:
            if picture is not None:
                folder = self.run.path / "previews"
                make_folder(folder)
                write_atomic(folder / f"{checkpoint_name(self.step)}.png", picture)
            self.run.log(record)
            save_checkpoint(self.run.checkpoints, self.step, content, pointers=self.pointers())
        finally:  # where the disk is full, the others still wait for this process's parts
            self._meanwhile(content)

    def resume(self) -> None:
        """Take up the last checkpoint, when there is one.

        Raises:
            CheckpointError: it is damaged.
            RunError: it is of another network.
        """
        folder = self.run.checkpoints
        if pointed(folder, "last") is None and not complete(folder):
            self.ranks.lead(lambda: self.run.forget_after(0, max(0, self.rescues - 1)))
            return
        checkpoint = self._last()
        self.take_tensors(checkpoint.tensors)
        before = self._take_state(checkpoint.state)
        if self.schedule.steps is not None and self.step > self.schedule.steps:
            raise RunError(
                f"{self.run.path} has {self.step} steps already, {self.schedule.steps} were asked: ask for more"
            )
        self.reported = self.fraction
        self.ranks.lead(lambda: self.run.forget_after(self.step, max(before, self.rescues - 1)))
        self.rescues = max(before, self.rescues)

    def _last(self) -> Checkpoint:
        """The last checkpoint; where the network is divided, the first process reads it for all."""
        if not self.divided:
            return load_checkpoint(self.run.checkpoints)
        found = self.ranks.lead(lambda: load_checkpoint(self.run.checkpoints)) or Checkpoint({}, {})
        return Checkpoint(Relayed(found.tensors, self.ranks), self.ranks.plain_of_first(dict(found.state)))

    def _take_state(self, state: Mapping[str, Any]) -> int:
        """How far the job was; returns how often it was rescued until then."""
        try:
            self.step, self.seconds = int(state["step"]), float(state["seconds"])
            self.drawn, rescues = int(state["drawn"]), int(state.get("rescues", 0))
            if min(self.step, self.drawn, rescues) < 0 or not 0 <= self.seconds < float("inf"):
                raise ValueError
            self.take_state(state)
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
