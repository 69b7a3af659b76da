"""Balance a table: from an unequal one to one with synthetic rows below the real ones, and a page beside it.

Law: the real rows come first and are what they were; nothing that exists is overwritten, and before all is done nothing is
written but the networks with which the same command goes on (:mod:`.unfinished`). What a classifier gains is measured on
real rows that were hidden from the generator too: it is fitted once more for each fold.
"""

from __future__ import annotations

import datetime
import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import InvalidParameterError

from evenscore.balancing.job import Stage
from evenscore.balancing.plan import ClassPlan, Target
from evenscore.balancing.unfinished import Unfinished
from evenscore.checkpoint import make_folder, write_atomic
from evenscore.data.table import MARK, SUFFIXES, TableFile, is_table
from evenscore.data.table_label import Labelled
from evenscore.errors import DataError, UsageError
from evenscore.evaluation.table_columns import Columns
from evenscore.evaluation.table_distances import Points, nearest
from evenscore.evaluation.table_gain import Downstream, Gain
from evenscore.evaluation.table_marginals import marginals
from evenscore.evaluation.table_pairs import LEAST, pairs
from evenscore.features.base import digest
from evenscore.report.environment import is_page
from evenscore.report.table import TableClass, TableReport
from evenscore.report.table_view import table_page
from evenscore.writing import HELD_OUT

Labels = NDArray[np.int64]
Make = Callable[[Mapping[Any, int], int, Any], Any]
"""Rows that each label is to have, a seed, and where its network is kept -> an over-sampler with ``fit_resample``."""


@dataclass(frozen=True)
class TableConfig:
    """What to make.

    Attributes:
        target: ``"uniform"``, one number for all classes, or one for each; real rows are never left out.
        make: builds the over-sampler.
        folds: in how many parts real rows are held out to measure what a classifier gains; 0 for none.
        seed: of everything random.
        command: the command line, for the page.
        settings: name -> words, for the page.
        run: where the network of the whole table is kept; None where it is not.
    """

    target: Target
    make: Make
    folds: int = 3
    seed: int = 0
    command: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    run: Any = None


@dataclass
class TableBalance:
    """The work; iterate over :meth:`stages` to have it done.

    Attributes:
        table: that was read.
        data: its features and classes.
        out: the table to write; the page goes beside it.
        config: what to make.
        summary: numbers by class, once it is done.
        notes: what the over-sampler warned of when it saw the whole table.
    """

    table: TableFile
    data: Labelled
    out: Path
    config: TableConfig
    summary: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def page(self) -> Path:
        """Where the page goes."""
        return self.out.with_suffix(".html")

    def stages(self) -> Iterator[Stage]:
        """Plan, learn, measure and write.

        Raises:
            UsageError: the output is named like held-out data or like no table, the target does not fit, or the over-sampler
                refuses its settings.
            DataError: the output exists, or the over-sampler cannot use the table.
        """
        check_table_output(self.out, self.page)
        self.table.check_suffix(self.out.suffix)
        plan = table_plan(self.data, self.config.target)
        short = sum(each.make for each in plan)
        yield Stage("plan", f"{len(self.data.y)} rows in {len(plan)} classes, {short} rows to make")
        made, y = self.learned(plan)
        yield from (Stage("note", note) for note in self.notes)
        yield Stage("learn", f"{len(y)} rows made", 1.0)
        gains: tuple[Gain, ...] = ()
        if self.config.folds and short:
            downstream = self.downstream(plan)
            for done in downstream.folds():
                yield Stage("measure", f"fold {done} of {self.config.folds}", done / self.config.folds)
            gains = downstream.gains()
        report = self.report(plan, made, y, gains)
        self.write(made, y, report)
        self.summary = summarised(report, self.out, self.page)
        yield Stage("done", f"{self.out} and {self.page}", 1.0)

    def learned(self, plan: tuple[ClassPlan, ...]) -> tuple[Any, Labels]:
        """The synthetic rows and their classes."""
        if not any(each.make for each in plan):
            return self.data.X.iloc[:0], self.data.y[:0]
        wanted = {k: each.wanted for k, each in enumerate(plan)}
        return self.made(self.data.X, self.data.y, wanted, self.config.seed, self.config.run)

    @cached_property
    def unfinished(self) -> Unfinished:
        """Where networks are kept until the table is written."""
        import pandas

        frame = self.table.frame
        rows = digest(pandas.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
        job = {"rows": rows, "columns": [str(name) for name in frame.columns], "label": self.data.label}
        return Unfinished(self.out, {**job, "folds": self.config.folds, "settings": dict(self.config.settings)})

    def made(self, X: Any, y: Labels, wanted: Mapping[int, int], seed: int, run: Any = None) -> tuple[Any, Labels]:
        """What an over-sampler adds to some rows; it sees the labels themselves, and what it warns of is kept as notes."""
        values, run = self.data.values, self.unfinished.run(seed) if run is None else run
        asked = {values[k]: n for k, n in wanted.items()}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            try:
                both, labels = self.config.make(asked, seed, run).fit_resample(X, np.array(values)[y])
            except InvalidParameterError as error:
                raise UsageError(f"a setting of the over-sampler cannot be used: {error}") from error
            except (ValueError, TypeError) as error:
                raise DataError(f"table {self.table.path} cannot be learned from: {error}") from error
        if len(X) == len(self.data.X):
            words = (str(warning.message) for warning in caught if issubclass(warning.category, UserWarning))
            self.notes = tuple(dict.fromkeys(words))
        place = {value: k for k, value in enumerate(values)}
        classes = np.array([place[label] for label in labels[len(y) :].tolist()], dtype=np.int64)
        return both.iloc[len(y) :].reset_index(drop=True), classes

    def downstream(self, plan: tuple[ClassPlan, ...]) -> Downstream:
        """The measurement of what a classifier gains; folds are filled up in the proportions of the plan."""
        import pandas

        shares = [each.wanted / each.real for each in plan]

        def resample(X: Any, y: Labels, fold: int) -> tuple[Any, Labels]:
            counts = np.bincount(y, minlength=len(plan)).tolist()
            wanted = {k: max(n, round(n * shares[k])) for k, n in enumerate(counts) if n}
            made, classes = self.made(X, y, wanted, self.config.seed + 1 + fold)
            return pandas.concat([X, made], ignore_index=True), np.concatenate([y, classes])

        columns = Columns.of(self.data.X)
        return Downstream(self.data.X, self.data.y, columns, resample, self.config.folds, self.config.seed)

    def report(self, plan: tuple[ClassPlan, ...], made: Any, y: Labels, gains: tuple[Gain, ...]) -> TableReport:
        """The records of the page."""
        columns = Columns.of(self.data.X)
        points = Points(self.data.X, columns)
        classes = []
        for k, each in enumerate(plan):
            base = (each.name, each.group, each.real, int((y == k).sum()), each.wanted)
            if not base[3]:
                classes.append(TableClass(*base))
                continue
            real, own = self.data.X[self.data.y == k], made[y == k]
            found = pairs(real, own, columns) if min(len(real), len(own)) >= LEAST else None
            near = nearest(real, own, points, self.config.seed)
            classes.append(TableClass(*base, marginals(real, own, columns), found, near))
        return TableReport(
            title=f"{self.out.name}: a balanced table",
            source=str(self.table.path),
            label=self.data.label,
            created=datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
            command=self.config.command,
            classes=tuple(classes),
            gains=gains,
            folds=self.config.folds,
            mark=MARK,
            output=self.out.name,
            settings=self.config.settings,
            notes=self.notes,
        )

    def write(self, made: Any, y: Labels, report: TableReport) -> None:
        """Both files, the table last; each is complete or absent, and a page without its table is written again."""
        rows = self.data.joined(made, y, [str(name) for name in self.table.frame.columns])
        content, page = self.table.content(rows, self.out.suffix), table_page(report).encode()
        check_table_output(self.out, self.page)
        make_folder(self.out.parent)
        write_atomic(self.page, page)
        write_atomic(self.out, content)
        self.unfinished.clear()


def table_plan(data: Labelled, target: Target) -> tuple[ClassPlan, ...]:
    """Rows that each class has and is to have; never fewer than it has.

    Raises:
        UsageError: a target that does not fit.
    """
    labels = data.distribution
    wanted = [max(have, want) for have, want in zip(labels.counts, labels.wanted(target), strict=True)]
    rows = zip(data.names, labels.groups(), labels.counts, wanted, strict=True)
    return tuple(ClassPlan(*row) for row in rows)


def check_table_output(out: Path, page: Path) -> None:
    """Refuse an output that exists, is named like held-out data, or is no table.

    Raises:
        UsageError: it is named like held-out data, or ends in no known suffix.
        DataError: it or its page exists; but a page of this package, of which the table is not there, is what a killed
            command left.
    """
    if not is_table(out):
        raise UsageError(f"--out {out} is not named like a table: end it with one of {', '.join(SUFFIXES)}")
    if out.stem.lower() in HELD_OUT:
        raise UsageError(f"--out {out} is named like held-out data, which must stay real: choose another name")
    orphan = is_page(page) and not any(os.path.lexists(out.with_suffix(suffix)) for suffix in SUFFIXES)
    for path in (out,) if orphan else (out, page):
        if os.path.lexists(path):
            raise DataError(f"{path} exists: choose another --out, nothing is overwritten")


def summarised(report: TableReport, out: Path, page: Path) -> dict[str, Any]:
    """The numbers of a report as plain values."""
    classes = []
    for k, each in enumerate(report.classes):
        row: dict[str, Any] = {"class": each.name, "group": each.group, "real": each.real, "made": each.made}
        row["wanted"] = each.wanted
        if each.nearest is not None:
            row |= {"copies": each.nearest.copies, "close": _known(each.nearest.close)}
        if each.pairs is not None:
            row["correlation error"] = _known(each.pairs.mean_error)
        for gain in report.gains:
            recall, precision = gain.recall[k], gain.precision[k]
            if recall is not None and precision is not None:
                ends = [recall.low, recall.high]
                row[gain.name] = {
                    "recall": {"real": recall.real, "balanced": recall.balanced, "difference": ends},
                    "average precision": {"real": precision.real, "balanced": precision.balanced},
                }
        classes.append(row)
    return {"table": str(out), "page": str(page), "mark": report.mark, "classes": classes}


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
