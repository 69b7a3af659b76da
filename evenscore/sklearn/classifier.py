"""A classifier by Bayes' rule from the class laws of a score model.

    p(k | x)  in proportion to  prior_k p(x | k)

The log-likelihood of a class is exact where no class is corrected by a network (``likelihood`` then costs a few
products of matrices) and comes from the probability-flow ODE elsewhere. The quicker ``denoising`` is the bound that
denoising errors give,

    log p(x | k) >= constant - 1/2 integral over log SNR of E |eps - eps_k(x_t)|^2

(Kingma et al. 2021, "Variational Diffusion Models", eq. 12; Li et al. 2023, "Your Diffusion Model is Secretly a
Zero-Shot Classifier"), with the same noise for all classes and rows, so that what is compared is paired.

Law: a row's posterior does not depend on the rows beside it, and ``predict`` is the class of the greatest posterior.
Since an encoding of the columns multiplies all class densities alike, tables with levels and whole numbers are
classified too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from evenscore.sklearn.fitting import FittedTable, fit_table
from evenscore.sklearn.inputs import read_labels, read_table
from evenscore.sklearn.parameters import CONSTRAINTS, seed_of
from evenscore.tables import Frame


class ScoreClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classify rows of a table by class-conditional score models.

    Args:
        priors: of the classes: ``uniform``, ``train`` (as often as they were found), or (K,) numbers in the order of
            ``classes_``.
        method: ``likelihood``, ``denoising``, or ``auto``: the likelihood where it has a closed form, else denoising errors.
        draws: noisy versions of a row, for ``denoising``.
        objective: how the network learns from unequal classes: a name in ``evenscore list objectives``, or a dict of ``name``
            and settings.
        correction: ``auto`` (a network is trained where a class has at least 1000 rows), ``always`` or ``never``.
        network: ``tiny``, ``small``, ``medium``, ``base``, ``large`` or ``auto``.
        steps: optimiser steps; None for a number that suits the table.
        max_seconds: seconds of training at most; with it the result depends on the speed of the machine.
        numeric: transform of numeric columns: ``auto``, ``standard`` or ``quantile``.
        categories: code of columns with levels: ``auto``, ``cuts``, ``one-hot`` or ``bits``.
        missing: ``pattern`` (missing values are a part of the law) or ``refuse``.
        run: folder in which the network's run is kept; None for a temporary one.
        n_jobs: threads of torch; None for one, as in scikit-learn.
        verbose: 0 for no progress.
        random_state: as in scikit-learn.

    Attributes:
        classes_: (K,) sorted labels.
        priors_: (K,) priors.
        fitted_: the fitted table.
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        **CONSTRAINTS,
        "priors": [StrOptions({"uniform", "train"}), "array-like"],
        "method": [StrOptions({"auto", "likelihood", "denoising"})],
        "draws": [CONSTRAINTS["steps"][0]],
    }

    def __init__(
        self,
        *,
        priors: Any = "uniform",
        method: str = "auto",
        draws: int = 64,
        objective: Any = "denoising",
        correction: str = "auto",
        network: str = "auto",
        steps: int | None = None,
        max_seconds: float | None = None,
        numeric: str = "auto",
        categories: str = "auto",
        missing: str = "pattern",
        run: Any = None,
        n_jobs: int | None = None,
        verbose: int = 1,
        random_state: Any = None,
    ) -> None:
        self.priors = priors
        self.method = method
        self.draws = draws
        self.objective = objective
        self.correction = correction
        self.network = network
        self.steps = steps
        self.max_seconds = max_seconds
        self.numeric = numeric
        self.categories = categories
        self.missing = missing
        self.run = run
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> ScoreClassifier:
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
        self.fitted_: FittedTable = fit_table(self, frame, numbers, self.classes_, self._seed)
        self.priors_ = self._priors()
        return self

    def _priors(self) -> NDArray[np.float64]:
        counts = np.array(self.fitted_.counts, dtype=np.float64)
        if isinstance(self.priors, str):
            chosen = counts if self.priors == "train" else np.ones(len(counts))
        else:
            chosen = np.asarray(self.priors, dtype=np.float64)
            if chosen.shape != counts.shape or not (chosen > 0).all():
                raise ValueError(
                    f"priors={self.priors!r} do not fit {len(counts)} classes: give one number above 0 for each"
                )
        return np.asarray(chosen / chosen.sum())

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Log-posterior (N, K) of each row."""
        check_is_fitted(self)
        _, frame = read_table(self, X, reset=False)
        joint = self._log_likelihoods(frame) + np.log(self.priors_)
        return np.asarray(joint - scipy.special.logsumexp(joint, axis=1, keepdims=True))

    def _log_likelihoods(self, frame: Frame) -> NDArray[np.float64]:
        """(N, K), up to a number for each row."""
        closed = not bool((self.fitted_.model.weights > 0).any())
        if self.method == "likelihood" or (self.method == "auto" and closed):
            return self.fitted_.log_densities(frame)
        x = torch.from_numpy(self.fitted_.code.encode(frame))
        return np.asarray(self.fitted_.model.bounds(x, self.draws, self._seed).numpy())

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Posterior (N, K) of each row.

        Raises:
            NotFittedError: not fitted.
            ValueError: another table than was fitted.
        """
        return np.exp(self.predict_log_proba(X))

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Log-odds (N,) of the second of two classes; log-posterior (N, K) of more."""
        scores = self.predict_log_proba(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict(self, X: Any) -> NDArray[Any]:
        """The class (N,) of the greatest posterior of each row.

        Raises:
            NotFittedError: not fitted.
            ValueError: another table than was fitted.
        """
        found = self.predict_log_proba(X).argmax(1)
        return np.asarray(self.classes_[found])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.input_tags.allow_nan = self.missing == "pattern"
        return tags
