"""Judges that are fitted in a moment: what balancing makes does not depend on their being good."""

from __future__ import annotations

from typing import Any

import pytest

import evenscore.balancing.gate
import evenscore.balancing.summary
import evenscore.features.domain
from evenscore.metrics import Classifier, fit_classifier

STEPS = 3


def brief_judges(patch: pytest.MonkeyPatch) -> None:
    """Let every classifier that a command fits take three steps."""

    def fit(*arguments: Any, **settings: Any) -> Classifier:
        return fit_classifier(*arguments, **{**settings, "steps": STEPS})

    for module in (evenscore.balancing.gate, evenscore.balancing.summary, evenscore.features.domain):
        patch.setattr(module, "fit_classifier", fit)
