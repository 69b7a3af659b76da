"""A conditional generator of table rows with a density: fit, sample, score_samples, save and load.

Law: ``score_samples`` is the log-density of the rows themselves in their own units, in nats; a table with a column
that has no density (whole numbers, levels, missing values, a value found often) is refused with a sentence that names
it.
"""

from __future__ import annotations

from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from evenscore.random import derive_seed
from evenscore.sklearn.fitting import fit_table
from evenscore.sklearn.inputs import class_numbers, read_labels, read_table
from evenscore.sklearn.parameters import CONSTRAINTS, seed_of
from evenscore.sklearn.progress import threads
from evenscore.sklearn.saving import load_fitted, save_fitted


class ScoreGenerator(BaseEstimator):  # type: ignore[misc]
    """A score model of a table, class by class.

    Args:
        objective: how the network learns from unequal classes: a name in ``evenscore list objectives``, or a dict of ``name``
            and settings.
        correction: ``auto`` (a network is trained where a class has at least 1000 rows), ``always`` or ``never``.
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
        classes_: (K,) sorted labels.
        fitted_: the fitted table.
    """

    _parameter_constraints: dict[str, Any] = {**CONSTRAINTS, "guidance": [Interval(Real, None, None, closed="neither")]}  # noqa: RUF012

    def __init__(
        self,
        *,
        objective: Any = "denoising",
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

    def fit(self, X: Any, y: Any) -> ScoreGenerator:
        """Fit a table.

        Args:
            X: numpy array, list, scipy sparse matrix, pandas or polars table of N rows.
            y: (N,) classes, two at least.

        Raises:
            ValueError: a table, labels or parameters that cannot be used.
        """
        self._validate_params()
        _, frame = read_table(self, X, reset=True)
        self.classes_, numbers = read_labels(y, len(frame))
        self._seed = seed_of(self.random_state)
        self.fitted_ = fit_table(self, frame, numbers, self.classes_, self._seed)
        return self

    def sample(self, n_samples: int = 1, y: Any = None, *, random_state: Any = None) -> tuple[Any, NDArray[Any]]:
        """Rows of the model.

        Args:
            n_samples: rows to draw; with one label, of that class, else as many as there are labels.
            y: a label, or (n_samples,) labels; None for the classes as often as they were found.
            random_state: of the draw; None for the one that the model was fitted with.

        Returns:
            A table of the fitted type, and its labels (n_samples,).

        Raises:
            NotFittedError: not fitted.
            ValueError: a negative number, or labels that were not fitted or do not fit the number.
        """
        check_is_fitted(self)
        seed = derive_seed(self._seed if random_state is None else seed_of(random_state), "sample")
        if n_samples < 0:
            raise ValueError(f"n_samples={n_samples} rows were asked for: give 0 or more")
        if y is None:
            share = np.array(self.fitted_.counts) / sum(self.fitted_.counts)
            numbers = np.random.default_rng(seed).choice(len(share), n_samples, p=share)
        else:
            numbers = class_numbers(np.atleast_1d(np.asarray(y)), self.classes_)
            numbers = np.repeat(numbers, n_samples) if np.ndim(y) == 0 else numbers
        if len(numbers) != n_samples:
            raise ValueError(
                f"{len(numbers)} labels were given for {n_samples} rows: give one for each, or one for all"
            )
        with threads(self.n_jobs):
            return self.fitted_.draw(numbers.astype(np.int64), seed), self.classes_[numbers]

    def score_samples(self, X: Any, y: Any = None) -> NDArray[np.float64]:
        """Log-density of each row, in nats: in closed form for a class without a correction, else by the probability-flow ODE.

        Args:
            X: (N, columns) table.
            y: (N,) classes, for the density given the class; None for the mixture of the classes as often as they were found.

        Raises:
            NotFittedError: not fitted.
            ValueError: another table than was fitted, a column without a density, or labels that were not fitted.
        """
        check_is_fitted(self)
        _, frame = read_table(self, X, reset=False)
        code = self.fitted_.code
        without = code.without_density
        if without:
            raise ValueError(
                f"column {without[0]!r} has no density: it is constant, or holds whole numbers, levels, missing values or "
                f"one value often, as {len(without)} of {len(code.codes)} columns do; score tables of real numbers, or "
                "classify with ScoreClassifier"
            )
        slope = code.log_slope(frame)
        if y is None:
            log_share = np.log(np.array(self.fitted_.counts) / sum(self.fitted_.counts))
            scores = scipy.special.logsumexp(self.fitted_.log_densities(frame) + log_share, axis=1)
        else:
            scores = self.fitted_.log_density(frame, class_numbers(np.asarray(y), self.classes_, len(frame)))
        return np.asarray(scores + slope)

    def score(self, X: Any, y: Any = None) -> float:
        """Mean of :meth:`score_samples`."""
        return float(self.score_samples(X, y).mean())

    def save(self, path: str | Path) -> None:
        """Write the model as a run folder, which :meth:`load` reads; nothing is pickled.

        Raises:
            NotFittedError: not fitted.
            EvenscoreError: the folder cannot be written, or is not empty.
        """
        check_is_fitted(self)
        save_fitted(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> ScoreGenerator:
        """A fitted generator from a folder that :meth:`save` wrote.

        Raises:
            EvenscoreError: it is not one, or is damaged.
        """
        return load_fitted(cls, Path(path))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "density_estimator"
        tags.target_tags.required = True
        tags.input_tags.sparse = True
        tags.input_tags.string = True
        tags.input_tags.allow_nan = self.missing == "pattern"
        return tags
