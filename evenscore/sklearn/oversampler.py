"""Over-sampling of small classes by a score model: ``fit_resample(X, y)``, wherever SMOTE stands.

Law: the rows that were given come first, unchanged and in order; synthetic rows follow, as many of each class as
``sampling_strategy`` asks for in imbalanced-learn's own words.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import label_binarize
from sklearn.utils import check_consistent_length
from sklearn.utils._param_validation import Interval
from sklearn.utils.multiclass import check_classification_targets

from evenscore.sklearn.fitting import fit_table
from evenscore.sklearn.inputs import read_labels, read_table
from evenscore.sklearn.parameters import CONSTRAINTS, seed_of
from evenscore.sklearn.progress import threads
from evenscore.tables import stack
from evenscore.tables.frame import library_of

try:
    from imblearn.over_sampling.base import BaseOverSampler
    from imblearn.utils import check_sampling_strategy, check_target_type
except ImportError as error:
    raise ImportError(
        "ScoreOverSampler needs imbalanced-learn, which is not installed: "
        "pip install 'evenscore[sklearn]', or use ScoreGenerator"
    ) from error


class ScoreOverSampler(BaseOverSampler):  # type: ignore[misc]
    """Over-sample classes with rows drawn from a score model of the table.

    Each class has a law in closed form, a Gaussian or a smoothed bootstrap with moments shrunk towards what all classes have in
    common. Where a class to be sampled has at least 1000 rows, a score network is trained on all classes with ``objective`` and
    corrects it as much as helps on rows left out.

    Args:
        sampling_strategy: as in imbalanced-learn: a string, a float, a dict or a callable.
        objective: how the network learns from unequal classes: a name in ``evenscore list objectives``, or a dict of ``name``
            and settings.
        correction: ``auto``, ``always`` or ``never``: when a network is trained.
        network: ``tiny``, ``small``, ``medium``, ``base``, ``large`` or ``auto``.
        steps: optimiser steps; None for a number that suits the table.
        max_seconds: seconds of training at most; with it the result depends on the speed of the machine.
        guidance: classifier-free guidance scale of corrected classes; 1 is the plain conditional law.
        numeric: transform of numeric columns: ``auto``, ``standard`` or ``quantile``.
        categories: code of columns with levels: ``auto``, ``cuts``, ``one-hot`` or ``bits``.
        missing: ``pattern`` (missing values are generated like any other) or ``refuse``.
        run: folder in which the network's run is kept; None for a temporary one.
        n_jobs: threads of torch; None for one, as in scikit-learn.
        verbose: 0 for no progress.
        random_state: as in scikit-learn.

    Attributes:
        sampling_strategy_: rows to draw of each class.
        fitted_: the fitted table; None when nothing had to be drawn.
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        **BaseOverSampler._parameter_constraints,
        **CONSTRAINTS,
        "guidance": [Interval(Real, None, None, closed="neither")],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        objective: Any = "cbdm",
        correction: str = "auto",
        network: str = "auto",
        steps: int | None = None,
        max_seconds: float | None = None,
        guidance: float = 1.0,
        numeric: str = "auto",
        categories: str = "auto",
        missing: str = "pattern",
        run: Any = None,
        n_jobs: int | None = None,
        verbose: int = 1,
        random_state: Any = None,
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.objective = objective
        self.correction = correction
        self.network = network
        self.steps = steps
        self.max_seconds = max_seconds
        self.guidance = guidance
        self.numeric = numeric
        self.categories = categories
        self.missing = missing
        self.run = run
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> ScoreOverSampler:
        """Check a table and count its classes; nothing is trained.

        Args:
            X: table of N rows.
            y: (N,) classes.

        Raises:
            ValueError: a table, labels or parameters that cannot be used.
        """
        self._validate_params()
        self._look(X, y)
        return self

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """The rows of a table, and synthetic ones under them, each with its class.

        Args:
            X: numpy array, list, scipy sparse matrix, pandas or polars table of N rows.
            y: (N,) classes.

        Returns:
            A table and labels of the types that were given.

        Raises:
            ValueError: a table, labels or parameters that cannot be used.
        """
        self._validate_params()
        return self._fit_resample(X, y)

    def _fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        table, frame, labels, binarize = self._look(X, y)
        classes, numbers = read_labels(labels, len(frame))
        asked = {k: self.sampling_strategy_.get(label, 0) for k, label in enumerate(classes.tolist())}
        wanted = [k for k, count in asked.items() if count > 0]
        self.fitted_ = None
        if not wanted:
            return table, y
        seed = seed_of(self.random_state)
        self.fitted_ = fit_table(self, frame, numbers, classes, seed, wanted)
        drawn = np.repeat(np.array(wanted), [asked[k] for k in wanted])
        resampled = np.concatenate([labels, classes[drawn].astype(labels.dtype)])
        if binarize:
            resampled = label_binarize(resampled, classes=classes)
        with threads(self.n_jobs):
            made = self.fitted_.draw(drawn, seed)
        return stack(table, made), like(y, resampled)

    def _look(self, X: Any, y: Any) -> tuple[Any, Any, NDArray[Any], bool]:
        """The table, its columns, the labels (N,), and whether they were one column for each class."""
        check_classification_targets(_plain(y))
        labels, binarize = check_target_type(_plain(y), indicate_one_vs_all=True)
        table, frame = read_table(self, X, reset=True)
        check_consistent_length(range(len(frame)), labels)
        self.sampling_strategy_ = check_sampling_strategy(self.sampling_strategy, labels, self._sampling_type)
        return table, frame, np.asarray(labels), binarize

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.input_tags.allow_nan = self.missing == "pattern"
        return tags


def _plain(y: Any) -> Any:
    """Labels of a polars series as an array; others as they are."""
    return y.to_numpy() if library_of(y) == "polars" or type(y).__module__.startswith("polars") else y


def like(y: Any, labels: NDArray[Any]) -> Any:
    """Labels (N,) or (N, K) as the type of ``y``: an array, a list, or a column or table of pandas or polars."""
    module = type(y).__module__.split(".")[0]
    if module == "pandas":
        import pandas as pd

        if isinstance(y, pd.DataFrame):
            table = labels[:, None] if labels.ndim == 1 else labels
            return pd.DataFrame(table, columns=y.columns).astype(y.dtypes)
        return pd.Series(labels, dtype=y.dtype, name=y.name)
    if module == "polars":
        import polars as pl

        if isinstance(y, pl.DataFrame):
            return pl.DataFrame(labels[:, None] if labels.ndim == 1 else labels, schema=y.schema)
        return pl.Series(y.name, labels, dtype=y.dtype)
    return labels.tolist() if isinstance(y, list) else labels
