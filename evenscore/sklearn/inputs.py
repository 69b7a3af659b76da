"""What estimators are given: checked as scikit-learn checks it, and taken apart.

Law: what is refused is refused with scikit-learn's own exception type and one sentence.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import validate_data

from evenscore.tables import Frame, read_frame
from evenscore.tables.frame import library_of


def read_table(estimator: Any, X: Any, *, reset: bool) -> tuple[Any, Frame]:
    """The table as it can be put together again, and its columns; numbers and names of columns are checked.

    Args:
        estimator: remembers them when ``reset``.
        X: the table.
        reset: whether it is the one that is fitted.

    Raises:
        ValueError: no rows or columns, not two-dimensional, or other columns than were fitted.
        TypeError: not a table.
    """
    library = library_of(X)
    if library in ("pandas", "polars"):
        if min(X.shape) == 0:
            what = "sample" if X.shape[0] == 0 else "feature"
            raise ValueError(f"Found array with 0 {what}(s) (shape={X.shape}) while a minimum of 1 is required.")
        frame = read_frame(X)
    else:
        checked = check_array(
            X, dtype=None, accept_sparse=True, ensure_all_finite=False, estimator=estimator, ensure_min_samples=1
        )
        _refuse_gaps(estimator, checked)
        frame = read_frame(checked)
        X = X if library == "list" else checked
        if library == "list":
            frame = read_frame(X)
    validate_data(estimator, X, skip_check_array=True, reset=reset)
    return X, frame


def _refuse_gaps(estimator: Any, array: Any) -> None:
    """scikit-learn's own sentence for NaN where missing values are refused, and for infinity."""
    if array.dtype.kind == "f":
        gaps = "allow-nan" if estimator.missing == "pattern" else True
        check_array(array, accept_sparse=True, ensure_all_finite=gaps, estimator=estimator, input_name="X")


def read_labels(y: Any, rows: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The sorted classes (K,), and the class number (N,) of each row.

    Raises:
        ValueError: continuous or multilabel, another number than rows, missing, or one class only.
    """
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    if type_of_target(y, input_name="y") in ("multilabel-indicator", "multiclass-multioutput"):
        raise ValueError("Multilabel and multioutput targets are not supported.")
    labels = column_or_1d(np.asarray(y), warn=True)
    check_classification_targets(labels)
    if len(labels) != rows:
        raise ValueError(f"Found input variables with inconsistent numbers of samples: [{rows}, {len(labels)}]")
    classes, numbers = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y holds one class only, {classes.tolist()[0]!r}: give rows of at least two classes")
    return classes, numbers.astype(np.int64)


def class_numbers(labels: NDArray[Any], classes: NDArray[Any], rows: int | None = None) -> NDArray[np.int64]:
    """The number (N,) of each label among the sorted classes (K,).

    Raises:
        ValueError: a label that is not among them, or another number of labels than ``rows``.
    """
    if rows is not None and len(labels) != rows:
        raise ValueError(f"Found input variables with inconsistent numbers of samples: [{rows}, {len(labels)}]")
    place = {label: k for k, label in enumerate(classes.tolist())}
    strangers = [label for label in labels.tolist() if label not in place]
    if strangers:
        raise ValueError(f"the label {strangers[0]!r} was not fitted: give labels among {classes.tolist()}")
    return np.array([place[label] for label in labels.tolist()], dtype=np.int64)
