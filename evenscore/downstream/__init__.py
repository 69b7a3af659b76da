"""The downstream protocol: whether synthetic data improve a classifier that is tested on real ones."""

from __future__ import annotations

from evenscore.downstream.found import Difference, Found, RowFigures
from evenscore.downstream.job import Job, Progress, downstream
from evenscore.downstream.methods import METHODS, Row
from evenscore.downstream.settings import Settings
from evenscore.downstream.synthetic import read_synthetic
from evenscore.downstream.words import sentences
from evenscore.downstream.write import markdown, to_dict

__all__ = [
    "METHODS",
    "Difference",
    "Found",
    "Job",
    "Progress",
    "Row",
    "RowFigures",
    "Settings",
    "downstream",
    "markdown",
    "read_synthetic",
    "sentences",
    "to_dict",
]
