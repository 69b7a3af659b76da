"""Training of a noise-conditional classifier for guidance.

Law: step k draws its batch, times and noise from (seed, k) only, and everything that the next step needs is saved; so training
that was interrupted and called again ends with the weights of the uninterrupted one.

Times and noise come as for denoisers (:func:`~evenscore.objectives.levels.draw_times`, ``Process.perturb``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from evenscore import records
from evenscore.checkpoint import Checkpoint, complete, load_checkpoint, make_folder, save_checkpoint
from evenscore.data import POLICIES, Dataset, Loader
from evenscore.data.loader import LAWS
from evenscore.denoisers.noisy_classifier import NoisyClassifier
from evenscore.errors import CheckpointError, EvenscoreError, RunError
from evenscore.labels import LabelDistribution
from evenscore.lock import hold
from evenscore.networks.level_net import LevelNet
from evenscore.objectives.levels import NOISE_LAWS, draw_times
from evenscore.process import PROCESSES
from evenscore.random import derive_seed, generator, seeded_layers
from evenscore.run import DataCard, load_prefixed
from evenscore.training.optimise import load_optimiser, optimiser_tensors

BATCH_LAWS = {"as-found": "train", "uniform": "uniform", **LAWS}
"""The label law that the batches of each sampling policy follow."""
RATE_FLOOR = 0.01
"""Learning rate at the end, as a share of the full one."""
MEMORY = 0.98
"""Decay per step of the averages of loss and accuracy that are shown; lower in the first steps."""


@dataclass(frozen=True)
class ClassifierConfig:
    """How to train a noise-conditional classifier.

    Attributes:
        process: name of the noise process, that of the denoiser to guide.
        steps: optimiser steps.
        batch_size: samples per step.
        lr: learning rate at the start; it falls linearly.
        weight_decay: of AdamW.
        noise: law of the times.
        policy: which samples a batch shows; the probabilities hold under ``law`` whatever it is.
        seed: of everything random.
        save_every: steps between checkpoints, where they are kept.
        law: (K,) positive shares of the classes under which the probabilities hold; None for those of the data.

    Raises:
        UsageError: a value outside its range, or an unknown name.
    """

    process: str = "vp"
    steps: int = 1000
    batch_size: int = 128
    lr: float = 1e-3
    weight_decay: float = 0.01
    noise: str = "lognormal"
    policy: str = "uniform"
    seed: int = 0
    save_every: int = 200
    law: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        records.check_name("process", self.process, PROCESSES)
        records.check_name("noise law", self.noise, NOISE_LAWS)
        records.check_name("sampling policy", self.policy, POLICIES)
        for key in ("steps", "batch_size", "lr", "save_every"):
            records.check(key, getattr(self, key), getattr(self, key) > 0, "above 0")
        records.check("weight_decay", self.weight_decay, self.weight_decay >= 0, "at least 0")


@dataclass(frozen=True)
class ClassifierProgress:
    """Where training stands after a step.

    Attributes:
        step: optimiser steps done.
        fraction: share of the steps done, 0 to 1.
        loss: mean cross-entropy of the last steps, in nats.
        accuracy: share of their noisy samples whose class was the likeliest.
        event: ``step``, ``saved``, ``stopped`` (saved, and left because a stop was asked) or ``done``.
    """

    step: int
    fraction: float
    loss: float
    accuracy: float
    event: str


def build_classifier(card: DataCard, config: ClassifierConfig) -> NoisyClassifier:
    """A fresh, untrained classifier for the data of a card.

    Raises:
        UsageError: a class without a share in the law or in the batches.
    """
    with seeded_layers(derive_seed(config.seed, "classifier", "weights")):
        backbone = LevelNet(card.shape, 0, len(card.class_names))
    mean, std = torch.tensor(card.mean), torch.tensor(card.std)
    law = config.law or [float(n) for n in card.counts]
    learned = batch_law(card.labels, config.policy)
    return NoisyClassifier(backbone, PROCESSES[config.process](), card.shape, law, learned, mean, std)


def batch_law(labels: LabelDistribution, policy: str) -> list[float]:
    """(K,) share of each class in the batches of a sampling policy."""
    return [float(share) for share in labels.target(BATCH_LAWS[policy])]


def fit_noisy_classifier(
    data: Dataset, config: ClassifierConfig, folder: Path | None = None, stop: Callable[[], bool] = lambda: False
) -> NoisyClassifier:
    """Train a noise-conditional classifier to the end, as :class:`ClassifierTrainer` does.

    Returns:
        The classifier in evaluation mode, its weights frozen.
    """
    trainer = ClassifierTrainer(data, config, folder, stop)
    for _ in trainer.run_to_end():
        pass
    return trainer.classifier.eval().requires_grad_(False)


class ClassifierTrainer:
    """One training of a noise-conditional classifier in this process; with a folder, it goes on where it stopped there.

    Args:
        data: labelled samples, every class present.
        config: what to train.
        folder: where to keep checkpoints; None for nowhere.
        stop: asked between steps; when true, training ends after a checkpoint.

    Raises:
        UsageError: a class without a share in the law or in the batches.
    """

    def __init__(
        self,
        data: Dataset,
        config: ClassifierConfig,
        folder: Path | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.data, self.config, self.folder, self.stop = data, config, folder, stop
        card = DataCard.of(data)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.classifier = build_classifier(card, config).to(self.device).train()
        self.optimiser = torch.optim.AdamW(
            self.classifier.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True
        )
        self.signature: dict[str, Any] = {"data": card.fingerprint, **records.write(config)}
        self.loader = Loader(data, config.batch_size, config.policy, derive_seed(config.seed, "classifier", "loader"))
        self.spread = float(self.classifier.std.mean())
        self.step = 0
        self.shown: tuple[float, float] | None = None

    def run_to_end(self) -> Iterator[ClassifierProgress]:
        """Steps until all are done or a stop is asked; at least one progress comes, the last one says which.

        Raises:
            RunError: the folder is in use, or holds a classifier of other data or settings.
            CheckpointError: what it holds is damaged.
            EvenscoreError: the loss is not finite.
            DataError: the disk is full.
        """
        if self.folder is not None:
            make_folder(self.folder)
        with nullcontext() if self.folder is None else hold(self.folder, "lock"):
            self._resume()
            while self.step < self.config.steps and not self.stop():
                self._step()
                due = self.step % self.config.save_every == 0 or self.step == self.config.steps
                if due:
                    self._save()
                yield self._progress("saved" if due else "step")
            if self.step == self.config.steps:
                yield self._progress("done")
                return
            self._save()
            yield self._progress("stopped")

    def _progress(self, event: str) -> ClassifierProgress:
        loss, accuracy = self.shown or (float("nan"), float("nan"))
        return ClassifierProgress(self.step, self.step / self.config.steps, loss, accuracy, event)

    def _step(self) -> None:
        """One optimiser step."""
        config, process = self.config, self.classifier.process
        random = generator(config.seed, "classifier", "batch", self.step)
        index = self.loader.batch(self.step)
        x0, y = self.data.tensor(index), torch.from_numpy(self.data.labels[index])
        t = draw_times(config.noise, len(y), process, self.spread, random)
        eps = torch.randn(x0.shape, generator=random)
        x0, y, t, eps = (value.to(self.device) for value in (x0, y, t, eps))
        for group in self.optimiser.param_groups:
            group["lr"] = config.lr * max(RATE_FLOOR, 1 - self.step / config.steps)
        logits = self.classifier.logits(process.perturb(x0, t, eps), t)
        loss: Tensor = F.cross_entropy(logits, y)
        if not bool(torch.isfinite(loss)):
            raise EvenscoreError(f"the loss became {float(loss.detach())} at step {self.step + 1}: use a smaller lr")
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.classifier.parameters(), 1.0)
        self.optimiser.step()
        self._show(float(loss.detach()), float((logits.argmax(1) == y).double().mean()))
        self.step += 1

    def _show(self, loss: float, accuracy: float) -> None:
        """Take the loss and accuracy of a step into their averages."""
        kept = min(MEMORY, self.step / (self.step + 1))
        before = self.shown or (loss, accuracy)
        self.shown = kept * before[0] + (1 - kept) * loss, kept * before[1] + (1 - kept) * accuracy

    def _save(self) -> None:
        if self.folder is None or self.step == 0:
            return
        tensors = {"model." + key: value for key, value in self.classifier.state_dict().items()}
        tensors |= optimiser_tensors(self.optimiser, "optimiser.")
        state = {"step": self.step, "signature": self.signature, "shown": self.shown}
        save_checkpoint(self.folder, self.step, Checkpoint(tensors, state))

    def _resume(self) -> None:
        """Take up what the folder holds."""
        if self.folder is None or not complete(self.folder):
            return
        checkpoint = read_classifier(self.folder)
        held = checkpoint.state["signature"]
        if held != self.signature:
            changed = [key for key in self.signature if held.get(key) != self.signature[key]]
            differs = ", ".join(_change(key, held.get(key), self.signature[key]) for key in changed)
            raise RunError(
                f"{self.folder} holds a classifier of other data or settings ({differs}): "
                "give the same ones to go on, or remove that folder to train another"
            )
        load_prefixed(self.classifier, checkpoint.tensors, "model.", self.folder)
        load_optimiser(self.optimiser, checkpoint.tensors, "optimiser.")
        self.step, (loss, accuracy) = int(checkpoint.state["step"]), checkpoint.state["shown"]
        self.shown = float(loss), float(accuracy)


def _change(key: str, before: Any, now: Any) -> str:
    """What differs, in few words."""
    return key if key in ("data", "law") else f"{key}={before} then, {now} now"


def load_noisy_classifier(card: DataCard, folder: Path) -> NoisyClassifier:
    """The finished classifier that training kept in a folder, in evaluation mode, its weights frozen.

    Raises:
        CheckpointError: there is none, or it is damaged.
        RunError: it was trained on other data, or its training was interrupted.
    """
    checkpoint = read_classifier(folder)
    signature = dict(checkpoint.state["signature"])
    if signature.pop("data") != card.fingerprint:
        raise RunError(f"the classifier in {folder} was trained on other data: give the run that it belongs to")
    config, step = records.read(ClassifierConfig, signature), int(checkpoint.state["step"])
    if step < config.steps:
        raise RunError(
            f"the classifier in {folder} was trained for {step} of {config.steps} steps: "
            "give the command that trains it once more, it goes on from there"
        )
    classifier = build_classifier(card, config)
    load_prefixed(classifier, checkpoint.tensors, "model.", folder)
    return classifier.eval().requires_grad_(False)


def read_classifier(folder: Path) -> Checkpoint:
    """The last checkpoint of a classifier.

    Raises:
        CheckpointError: none, a damaged one, or one of something else.
    """
    if not complete(folder):
        raise CheckpointError(f"{folder} holds no classifier: train one first")
    try:
        checkpoint = load_checkpoint(folder)
    except CheckpointError as error:
        reason = str(error).rpartition(": ")[0]
        raise CheckpointError(f"{reason}: remove {folder} and train the classifier again") from None
    if not _is_state(checkpoint.state):
        raise CheckpointError(f"{folder} holds something else than a classifier: remove it and train one")
    return checkpoint


def _is_state(state: Mapping[str, Any]) -> bool:
    """Whether it is what training keeps beside its tensors."""
    signature, shown, step = state.get("signature"), state.get("shown"), state.get("step")
    numbers = isinstance(shown, list) and len(shown) == 2 and all(isinstance(value, int | float) for value in shown)
    return isinstance(signature, dict) and "data" in signature and type(step) is int and step >= 0 and numbers
