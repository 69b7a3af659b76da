"""A mixed table with a rare class: balanced with one call, scored, and classified."""

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score

from evenscore.sklearn import ScoreClassifier, ScoreOverSampler


def make(rows: int, share: float, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Payments, of which a share is fraud."""
    draw = np.random.default_rng(seed)
    fraud = draw.random(rows) < share
    table = pd.DataFrame(
        {
            "amount": np.exp(draw.normal(3 + 1.0 * fraud, 1)).round(2),
            "hour": (draw.normal(14 - 8 * fraud, 4) % 24).astype(int),
            "country": np.where(draw.random(rows) < 0.2 + 0.4 * fraud, "abroad", "home"),
            "new_device": draw.random(rows) < 0.1 + 0.5 * fraud,
        }
    )
    return table, np.where(fraud, "fraud", "fine")


table, labels = make(1500, 0.02, seed=0)
held_out, truth = make(2000, 0.2, seed=1)
balanced, new_labels = ScoreOverSampler(random_state=0).fit_resample(table, labels)
print(
    f"{(labels == 'fraud').sum()} of {len(table)} rows were fraud, now {(new_labels == 'fraud').sum()} of {len(balanced)}"
)
print(balanced.tail(3).to_string())

for name, X, y in (("as found", table, labels), ("balanced", balanced, new_labels)):
    forest = RandomForestClassifier(50, random_state=0).fit(pd.get_dummies(X), y)
    score = balanced_accuracy_score(truth, forest.predict(pd.get_dummies(held_out)))
    print(f"a forest on the table {name}: balanced accuracy {score:.3f}")
own = ScoreClassifier(random_state=0, correction="never").fit(table, labels)
print(f"the class laws themselves: balanced accuracy {balanced_accuracy_score(truth, own.predict(held_out)):.3f}")
