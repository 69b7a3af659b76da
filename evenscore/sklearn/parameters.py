"""The parameters that all three estimators share, their constraints in scikit-learn's words, and what they say together.

Law: an estimator stores its parameters as they were given and looks at them when it is fitted; a wrong one is scikit-learn's
InvalidParameterError, which is a ValueError and tells them from data that cannot be used.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions

from evenscore.errors import UsageError
from evenscore.networks import NETWORKS
from evenscore.objectives import Objective
from evenscore.tables import TableSettings
from evenscore.tables.settings import CATEGORIES, MISSING, NUMERIC
from evenscore.vectors import CORRECTIONS, FitSettings, make_objective

CONSTRAINTS: Mapping[str, Any] = {
    "objective": [str, dict, Objective],
    "correction": [StrOptions(set(CORRECTIONS))],
    "network": [StrOptions({"auto", *NETWORKS})],
    "steps": [Interval(Integral, 1, None, closed="left"), None],
    "max_seconds": [Interval(Real, 0, None, closed="neither"), None],
    "numeric": [StrOptions(set(NUMERIC))],
    "categories": [StrOptions(set(CATEGORIES))],
    "missing": [StrOptions(set(MISSING))],
    "run": [str, Path, None],
    "n_jobs": [Interval(Integral, 1, None, closed="left"), None],
    "verbose": ["verbose"],
    "random_state": ["random_state"],
}


def fit_settings(estimator: Any, seed: int) -> FitSettings:
    """How the model of an estimator is fitted.

    Raises:
        InvalidParameterError: an objective that is not known, or settings that it does not have.
    """
    try:
        return FitSettings(
            objective=make_objective(estimator.objective),
            correction=estimator.correction,
            network=estimator.network,
            steps=estimator.steps,
            max_seconds=estimator.max_seconds,
            guidance=getattr(estimator, "guidance", 1.0),
            run=None if estimator.run is None else Path(estimator.run),
            seed=seed,
        )
    except UsageError as error:
        raise InvalidParameterError(str(error)) from None


def table_settings(estimator: Any) -> TableSettings:
    """How the table of an estimator is encoded."""
    return TableSettings(estimator.numeric, estimator.categories, estimator.missing)


def seed_of(random_state: Any) -> int:
    """A seed from what scikit-learn takes as ``random_state``; an integer gives the same one every time."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
