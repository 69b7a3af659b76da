"""``evenscore inspect`` of a table."""

from __future__ import annotations

from pathlib import Path

from evenscore.commands.terminal import emit, show_table, tell
from evenscore.data.table import read_table
from evenscore.data.table_label import labelled
from evenscore.evaluation.table_inspection import TableInspection, inspect_table


def run(path: str, label: str | None, as_json: bool) -> None:
    """Print what there is in a table, and what to do."""
    found = inspect_table(labelled(read_table(Path(path)), label), path)
    if as_json:
        emit(found.to_dict())
    else:
        show(found)


def show(found: TableInspection) -> None:
    """The inspection as people read it."""
    rows = [(c.name, f"{c.count}", c.group, c.learnable) for c in found.classes]
    show_table(found.name, (found.label, "rows", "group", "enough to learn from?"), rows)
    columns = [(c.name, c.kind, f"{c.distinct}", f"{c.missing}", c.values) for c in found.columns]
    show_table("", ("column", "kind", "different values", "missing", "values"), columns)
    tell(f"{found.total} rows; largest class {found.imbalance:.4g} times the smallest")
    tell(f"duplicates: {found.duplicates_within} rows within classes, {found.duplicates_across} across classes")
    tell("what to do:")
    for line in found.advice:
        tell(f"  {line}")
