"""The classifier of images: the residual network, trained by one recipe.

Law: for one seed the first weights, the order of the real samples and their changes depend on the seed and the step only, never
on the recipe; a recipe at its neutral value trains the network of the row ``real``, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from evenscore.data import Augmentation, Dataset
from evenscore.downstream.losses import class_weights, log_prior, row_loss
from evenscore.downstream.methods import Recipe
from evenscore.downstream.mix import Batches
from evenscore.downstream.settings import Settings
from evenscore.errors import EvenscoreError
from evenscore.networks.resnet import ResidualNetwork
from evenscore.random import derive_seed, generator, seeded_layers
from evenscore.run import DataCard

WARM = 0.05
"""Share of the steps in which the learning rate rises."""
MOMENTUM = 0.9
TESTED = 500
"""Images that are tested together."""


class ImageClassifier:
    """One training of the residual network.

    Args:
        real: the real training images.
        synthetic: the synthetic images that are used, or None.
        recipe: how to train.
        settings: the same for all recipes.
        seed: of weights, draws and changes.
    """

    def __init__(self, real: Dataset, synthetic: Dataset | None, recipe: Recipe, settings: Settings, seed: int) -> None:
        self.real, self.synthetic, self.settings, self.seed = real, synthetic, settings, seed
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        with seeded_layers(derive_seed(seed, "downstream", "weights")):
            network = ResidualNetwork(settings.depth, real.shape[0], real.num_classes)
        self.network: nn.Module = network.to(self.device).train()
        card = DataCard.of(real)
        self.mean, self.std = (torch.tensor(v).view(-1, 1, 1).to(self.device) for v in (card.mean, card.std))
        self.batches = Batches(real, synthetic, recipe.policy, settings.synthetic_weight, settings.batch_size, seed)
        self.augment = Augmentation(settings.augmentation)
        labels = real.distribution
        self.weights = (
            class_weights(labels, settings.scheme, settings.effective_beta) if recipe.weights == "class" else None
        )
        self.prior = log_prior(labels) if recipe.prior == "train" else None
        self.optimiser = _optimiser(self.network, settings)
        self.steps = settings.updates("image")

    def train(self) -> Iterator[float]:
        """All steps; yields the loss of each.

        Raises:
            EvenscoreError: the loss is not finite.
        """
        for step in range(self.steps):
            loss = self._step(step)
            if not math.isfinite(loss):
                raise EvenscoreError(f"the loss of a classifier became {loss} at step {step + 1}: use a smaller lr")
            yield loss

    def _step(self, step: int) -> float:
        x, y = self._batch(step)
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.rate * schedule(step, self.steps)
        half = self.settings.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            logits = self.network(x)
        loss = row_loss(logits.float(), y, self.weights, self.prior)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return float(loss.detach())

    def _batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Changed and normalised images (B,C,H,W) and their labels (B,): real ones first."""
        real, made = self.batches(step)
        x, y = self.real.tensor(real), torch.from_numpy(self.real.labels[real])
        if self.synthetic is not None and len(made):
            x = torch.cat([x, self.synthetic.tensor(made)])
            y = torch.cat([y, torch.from_numpy(self.synthetic.labels[made])])
        changed, _ = self.augment(x, generator(self.seed, "downstream", "augment", step))
        return self._normalised(changed), y.to(self.device)

    def _normalised(self, x: Tensor) -> Tensor:
        return (x.to(self.device) - self.mean) / self.std.clamp_min(1e-3)

    @torch.no_grad()
    def scores(self, data: Dataset) -> Tensor:
        """Logits (N,K), float32 on the CPU."""
        self.network.eval()
        parts = [
            self.network(self._normalised(data.tensor(range(start, min(start + TESTED, len(data)))))).float().cpu()
            for start in range(0, len(data), TESTED)
        ]
        return torch.cat(parts)


def schedule(step: int, steps: int) -> float:
    """Share of the full learning rate: a linear rise over the first twentieth, then half a cosine to zero."""
    warm = max(1, round(WARM * steps))
    return min((step + 1) / warm, 1.0) * 0.5 * (1 + math.cos(math.pi * step / steps))


def _optimiser(network: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    if settings.optimiser == "adamw":
        return torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=settings.weight_decay)
    return torch.optim.SGD(
        network.parameters(), settings.rate, momentum=MOMENTUM, weight_decay=settings.weight_decay, nesterov=True
    )
