"""Records of the page beside a balanced table: for each class what was made and how it compares with the real rows.

Law: the numbers are those of :mod:`evenscore.evaluation`; the page computes none. What was not measured is None or empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from evenscore.evaluation.table_distances import Nearest
from evenscore.evaluation.table_gain import Gain
from evenscore.evaluation.table_marginals import Marginal
from evenscore.evaluation.table_pairs import Pairs


@dataclass(frozen=True, eq=False)
class TableClass:
    """One class of a table.

    Attributes:
        name: as the label column spells it.
        group: ``head``, ``medium`` or ``tail``, by its real rows.
        real: real rows.
        made: synthetic rows.
        wanted: rows that the plan asks for.
        marginals: every column; empty where nothing was made.
        pairs: associations of the columns, None where nothing was made or there are too few rows.
        nearest: distances to real rows, None where nothing was made.
    """

    name: str
    group: str
    real: int
    made: int
    wanted: int
    marginals: tuple[Marginal, ...] = ()
    pairs: Pairs | None = None
    nearest: Nearest | None = None


@dataclass(frozen=True, eq=False)
class TableReport:
    """Everything that the page of a balanced table shows.

    Attributes:
        title: heading.
        source: the table that was read.
        label: name of the label column.
        created: when, in words.
        command: the command line that made it.
        classes: in the order of their names.
        gains: of each classifier, over the same classes; empty where it was not measured.
        folds: of that measurement.
        mark: name of the column that marks synthetic rows.
        output: the table that was written.
        settings: name -> words.
        notes: whole sentences.
    """

    title: str
    source: str
    label: str
    created: str
    command: str
    classes: tuple[TableClass, ...]
    gains: tuple[Gain, ...]
    folds: int
    mark: str
    output: str
    settings: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
