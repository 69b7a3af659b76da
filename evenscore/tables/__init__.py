"""Tables as vectors: what is known of columns, how they become real numbers, and how numbers become a table again.

Law: what is decoded is a table of the type that was encoded: names, dtypes, observed levels, whole numbers and bounds are kept.
"""

from __future__ import annotations

from evenscore.tables.columns import Column, Values
from evenscore.tables.frame import Container, Frame, library_of, read_frame, stack, write_frame
from evenscore.tables.settings import TableSettings
from evenscore.tables.table_code import TableCode

__all__ = [
    "Column",
    "Container",
    "Frame",
    "TableCode",
    "TableSettings",
    "Values",
    "library_of",
    "read_frame",
    "stack",
    "write_frame",
]
