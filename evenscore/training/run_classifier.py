"""The classifier of a run: kept in its folder ``classifier``, for guidance of its samples.

Law: it has the noise process of the run, and its probabilities hold under the label law that the run has learned from: that
of its batches, times the class weights of its objective. Then guidance of weight 1 on the unconditional score is Bayes' rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evenscore import records
from evenscore.checkpoint import complete
from evenscore.confined import inside
from evenscore.denoisers.noisy_classifier import NoisyClassifier
from evenscore.errors import RunError
from evenscore.objectives.reweighting import Reweighting
from evenscore.run import Run
from evenscore.training.classifier import BATCH_LAWS, ClassifierConfig, load_noisy_classifier, read_classifier

CLASSIFIER = "classifier"
OF_RUN = ("process", "law")
"""Settings that the run decides for its classifier."""


def learned_law(run: Run) -> tuple[float, ...]:
    """(K,) share of each class in what a run learns from: its batches, weighted as its objective weights classes."""
    labels, objective = run.card.labels, run.config.objective
    share = labels.target(BATCH_LAWS[run.config.policy])
    if isinstance(objective, Reweighting):
        share = share * objective.class_weights(labels)
    return tuple(float(f"{value:.9g}") for value in (share / share.sum()).tolist())


def classifier_folder(run: Run) -> Path:
    """Where a run keeps its classifier.

    Raises:
        DataError: it is a link that leads out of the run.
    """
    inside(run.path, CLASSIFIER)
    return run.path / CLASSIFIER


def classifier_config(run: Run, settings: Mapping[str, Any]) -> ClassifierConfig:
    """How to train the classifier of a run, from settings that may be text.

    Raises:
        UsageError: an unknown key or value, or a setting that the run decides.
    """
    for key in OF_RUN:
        records.check(key, settings.get(key), key not in settings, "left out: the run decides it")
    return records.read(ClassifierConfig, {**settings, "process": run.config.process, "law": learned_law(run)})


def run_classifier(run: Run) -> NoisyClassifier:
    """The classifier of a run, in evaluation mode, its weights frozen.

    Raises:
        CheckpointError: it is damaged.
        RunError: the run has none, or one of another run, or one whose training was interrupted.
    """
    folder = classifier_folder(run)
    if not complete(folder):
        raise RunError(f"{run.path} has no classifier: train one with `evenscore train-classifier {run.path}`")
    signature = read_classifier(folder).state["signature"]
    if any(signature.get(key) != value for key, value in _decided(run).items()):
        raise RunError(
            f"the classifier in {folder} is that of another run: "
            f"remove that folder and give `evenscore train-classifier {run.path}`"
        )
    return load_noisy_classifier(run.card, folder)


def _decided(run: Run) -> dict[str, Any]:
    """What the signature of a run's classifier must say."""
    config = records.write(classifier_config(run, {}))
    return {"data": run.card.fingerprint, **{key: config[key] for key in OF_RUN}}
