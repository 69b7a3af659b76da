"""Training of a noise-conditional classifier for guidance.

Law: step k draws its batch, times and noise from (seed, k) only, and everything that the next step needs is saved; so training
that was interrupted and called again ends with the weights of the uninterrupted one.

Times and noise come as for denoisers (:func:`~evenscore.objectives.levels.draw_times`, ``Process.perturb``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from evenscore import records
from evenscore.checkpoint import Checkpoint, complete, load_checkpoint, save_checkpoint
from evenscore.data import POLICIES, Dataset, Loader
from evenscore.data.loader import LAWS
from evenscore.denoisers.noisy_classifier import NoisyClassifier
from evenscore.errors import EvenscoreError, RunError
from evenscore.labels import LabelDistribution
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
        policy: which samples a batch shows; the probabilities hold under the data's own label law whatever it is.
        seed: of everything random.
        save_every: steps between checkpoints, where they are kept.
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

    def __post_init__(self) -> None:
        records.check_name("process", self.process, PROCESSES)
        records.check_name("noise law", self.noise, NOISE_LAWS)
        records.check_name("sampling policy", self.policy, POLICIES)
        for key in ("steps", "batch_size", "lr", "save_every"):
            records.check(key, getattr(self, key), getattr(self, key) > 0, "above 0")


def build_classifier(card: DataCard, config: ClassifierConfig) -> NoisyClassifier:
    """A fresh, untrained classifier for the data of a card; its probabilities hold under the card's label law.

    Raises:
        UsageError: samples that cannot be classified.
    """
    with seeded_layers(derive_seed(config.seed, "classifier", "weights")):
        backbone = LevelNet(card.shape, 0, len(card.class_names))
    mean, std = torch.tensor(card.mean), torch.tensor(card.std)
    law = [float(n) for n in card.counts]
    learned = batch_law(card.labels, config.policy)
    return NoisyClassifier(backbone, PROCESSES[config.process](), card.shape, law, learned, mean, std)


def batch_law(labels: LabelDistribution, policy: str) -> list[float]:
    """(K,) share of each class in the batches of a sampling policy."""
    return [float(share) for share in labels.target(BATCH_LAWS[policy])]


def fit_noisy_classifier(
    data: Dataset, config: ClassifierConfig, folder: Path | None = None, stop: Callable[[], bool] = lambda: False
) -> NoisyClassifier:
    """Train a noise-conditional classifier; with a folder, go on where training there stopped.

    Args:
        data: labelled samples, every class present.
        config: what to train.
        folder: where to keep checkpoints; None for nowhere.
        stop: asked between steps; when true, training ends after a checkpoint.

    Returns:
        The classifier in evaluation mode, its weights frozen.

    Raises:
        RunError: the folder holds a classifier of other data or settings.
        EvenscoreError: the loss is not finite.
        DataError: the disk is full.
    """
    card = DataCard.of(data)
    classifier = build_classifier(card, config)
    optimiser = torch.optim.AdamW(classifier.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)
    signature = {"data": card.fingerprint, **records.write(config)}
    step = 0 if folder is None else _resume(folder, classifier, optimiser, signature)
    loader = Loader(data, config.batch_size, config.policy, derive_seed(config.seed, "classifier", "loader"))
    spread = float(classifier.std.mean())
    while step < config.steps and not stop():
        _step(classifier, optimiser, data, loader, config, spread, step)
        step += 1
        if folder is not None and (step % config.save_every == 0 or step == config.steps):
            _save(folder, classifier, optimiser, signature, step)
    if folder is not None and 0 < step < config.steps:
        _save(folder, classifier, optimiser, signature, step)
    return classifier.eval().requires_grad_(False)


def load_noisy_classifier(card: DataCard, folder: Path) -> NoisyClassifier:
    """The classifier that training kept in a folder.

    Raises:
        CheckpointError: there is none, or it is damaged.
        RunError: it was trained on other data.
    """
    checkpoint = load_checkpoint(folder)
    signature = dict(checkpoint.state["signature"])
    if signature.pop("data") != card.fingerprint:
        raise RunError(f"the classifier in {folder} was trained on other data: give the run that it belongs to")
    classifier = build_classifier(card, records.read(ClassifierConfig, signature))
    load_prefixed(classifier, checkpoint.tensors, "model.", folder)
    return classifier.eval().requires_grad_(False)


def _step(
    classifier: NoisyClassifier,
    optimiser: torch.optim.Optimizer,
    data: Dataset,
    loader: Loader,
    config: ClassifierConfig,
    spread: float,
    step: int,
) -> None:
    """One optimiser step."""
    random = generator(config.seed, "classifier", "batch", step)
    index = loader.batch(step)
    x0, y = data.tensor(index), torch.from_numpy(data.labels[index])
    t = draw_times(config.noise, len(y), classifier.process, spread, random)
    x_t = classifier.process.perturb(x0, t, torch.randn(x0.shape, generator=random))
    for group in optimiser.param_groups:
        group["lr"] = config.lr * max(RATE_FLOOR, 1 - step / config.steps)
    loss: Tensor = F.cross_entropy(classifier.logits(x_t, t), y)
    if not bool(torch.isfinite(loss)):
        raise EvenscoreError(f"the loss became {float(loss.detach())} at step {step + 1}: use a smaller lr")
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(classifier.parameters(), 1.0)
    optimiser.step()


def _save(
    folder: Path,
    classifier: NoisyClassifier,
    optimiser: torch.optim.Optimizer,
    signature: dict[str, object],
    step: int,
) -> None:
    tensors = {"model." + key: value for key, value in classifier.state_dict().items()}
    tensors |= optimiser_tensors(optimiser, "optimiser.")
    save_checkpoint(folder, step, Checkpoint(tensors, {"step": step, "signature": signature}))


def _resume(
    folder: Path, classifier: NoisyClassifier, optimiser: torch.optim.Optimizer, signature: dict[str, object]
) -> int:
    """Steps done in ``folder``, after loading what it holds."""
    if not complete(folder):
        return 0
    checkpoint = load_checkpoint(folder)
    if checkpoint.state.get("signature") != signature:
        raise RunError(
            f"{folder} holds a classifier of other data or settings: give the same ones to go on, or another folder"
        )
    load_prefixed(classifier, checkpoint.tensors, "model.", folder)
    load_optimiser(optimiser, checkpoint.tensors, "optimiser.")
    return int(checkpoint.state["step"])
