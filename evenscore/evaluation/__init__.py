"""Evaluation of generated samples against real ones: by class, by group, the worst class, copies, and in words."""

from __future__ import annotations

from evenscore.evaluation.evaluate import Evaluation, evaluate
from evenscore.evaluation.files import of_files
from evenscore.evaluation.generated import Generated, Part, of_dataset, of_run
from evenscore.evaluation.settings import ASKABLE, Settings
from evenscore.evaluation.words import sentences, to_dict

__all__ = [
    "ASKABLE",
    "Evaluation",
    "Generated",
    "Part",
    "Settings",
    "evaluate",
    "of_dataset",
    "of_files",
    "of_run",
    "sentences",
    "to_dict",
]
