"""Generated rows of mixed type: nothing invalid in 100,000 of them, hard to tell from real ones, columns that hang together.

A generator is fitted to generated rows of two classes (:mod:`benchmarks.mixed_rows`) in three sizes of the rarer class. Of
each set 100,000 rows are drawn. Invalid is a category that the training rows do not have, a number with a fraction in a
column of whole numbers, or one beyond a bound of the law. A classifier of real against generated rows (histogram gradient
boosting, label among the columns, five folds) is given real rows that no one has seen and as many generated rows with the same
labels; its area under the ROC curve stands beside that of real against other real rows. Correlation error is the mean
absolute difference of the associations of two columns (:mod:`evenscore.evaluation.table_pairs`), by class.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.mixed_rows import BOOLEANS, BOUNDS, CATEGORIES, INTEGERS, mixed_rows
from benchmarks.runner import Outcome
from evenscore.evaluation.table_columns import Columns
from evenscore.evaluation.table_pairs import correlation_error, pairs

SUMMARY = (
    "Mixed-type rows: nothing invalid in 100,000, real and generated told apart with AUC at most 0.6, correlations"
)
SETS: Mapping[str, tuple[int, int]] = {"equal": (5000, 5000), "20:1": (10_000, 500), "5:1": (10_000, 2000)}
MOST_AUC = 0.6
HELD_OUT = 4000
"""Real rows of each class that are told from generated ones."""
FOLDS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--rows", type=int, default=100_000, help="rows to generate for each set")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS), help="which sets")
    parser.add_argument("--seed", type=int, default=0, help="of the training rows, the generator and the folds")
    parser.add_argument("--minutes", type=float, help="budget of each fit, instead of the generator's own")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a quarter of the rows to learn from and to judge, a twentieth of those drawn",
    )


def run(args: argparse.Namespace) -> Outcome:
    """Fit, draw and hold against real rows, one set after the other."""
    share, rows = (4, args.rows // 20) if args.quick else (1, args.rows)
    settings = {} if args.minutes is None else {"max_seconds": 60 * args.minutes}
    found = {name: measured(SETS[name], rows, share, args.seed, settings) for name in args.sets}
    wrong = sum(sum(row["invalid"].values()) for row in found.values())
    auc = max(row["AUC"]["real and generated"] for row in found.values())
    bound = {"invalid values": 0, "largest AUC": MOST_AUC}
    values = {"sets": found, "invalid values": wrong, "largest AUC": auc}
    return Outcome(values, bound, wrong == 0 and auc <= MOST_AUC)


def measured(counts: tuple[int, int], rows: int, share: int, seed: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """All figures of one set."""
    from evenscore.sklearn import ScoreGenerator

    X, y = mixed_rows([n // share for n in counts], seed)
    started = time.perf_counter()
    generator = ScoreGenerator(random_state=seed, verbose=0, **settings).fit(X, y)
    fitted = time.perf_counter()
    labels = np.repeat(np.arange(2), [rows - rows // 2, rows // 2])
    made, _ = generator.sample(len(labels), labels)
    drawn = time.perf_counter()
    real, real_y = mixed_rows([HELD_OUT // share] * 2, seed + 1)
    other, other_y = mixed_rows([HELD_OUT // share] * 2, seed + 2)
    some = np.concatenate([np.flatnonzero(labels == k)[: HELD_OUT // share] for k in range(2)])
    columns = Columns.of(X)
    found = {
        "trained on": [n // share for n in counts],
        "rows": len(made),
        "invalid": invalid(X, made),
        "AUC": {
            "real and generated": told_apart((real, real_y), (made.iloc[some], labels[some]), columns, seed),
            "real and other real": told_apart((real, real_y), (other, other_y), columns, seed),
        },
        "correlation error": {
            "generated": error((real, real_y), (made, labels), columns),
            "other real": error((real, real_y), (other, other_y), columns),
        },
        "seconds": {"fit": fitted - started, "draw": drawn - fitted},
    }
    print(found, file=sys.stderr, flush=True)
    return found


def invalid(real: Any, made: Any) -> dict[str, int]:
    """Values that cannot be, by kind; a column of another type counts with all its rows."""
    levels = {name: set(real[name].astype(str)) for name in (*CATEGORIES, *BOOLEANS)}
    categories = sum(int((~made[name].astype(str).isin(levels[name])).sum()) for name in levels)
    whole = sum(int((made[name].to_numpy(dtype=float) % 1 != 0).sum()) for name in INTEGERS)
    beyond = sum(int((~made[name].between(*ends)).sum()) for name, ends in BOUNDS.items())
    types = sum(len(made) for name in real.columns if name not in made or made[name].dtype != real[name].dtype)
    return {"category": categories, "whole number": whole, "bound": beyond, "type": types}


Labelled = tuple[Any, NDArray[np.int64]]


def told_apart(real: Labelled, made: Labelled, columns: Columns, seed: int) -> float:
    """Area under the ROC curve of a classifier of real against generated rows, on rows that it was not fitted to."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    rows = np.vstack([np.column_stack([columns.matrix(frame), labels]) for frame, labels in (real, made)])
    source = np.repeat([0, 1], [len(real[1]), len(made[1])])
    model = HistGradientBoostingClassifier(categorical_features=columns.places(), random_state=seed)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    likely = cross_val_predict(model, rows, source, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(source, likely))


def error(real: Labelled, made: Labelled, columns: Columns) -> float:
    """Mean absolute difference of the associations within each class."""
    classes = np.unique(real[1])
    return correlation_error([pairs(real[0][real[1] == k], made[0][made[1] == k], columns) for k in classes])
