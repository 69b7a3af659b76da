"""Folders that may come from strangers: nothing that lies in one leads out of it.

Law: every file and folder below a root that is read as a part of it, or made, written, cut off or removed in it, lies below it,
links included. The root itself may be a link: it is what a person named.
"""

from __future__ import annotations

import os
from pathlib import Path

from evenscore.errors import DataError


def inside(root: Path, *names: str) -> None:
    """Refuse a root in which one of ``names`` (that need not exist) is a link that leads out of it.

    Raises:
        DataError: one does.
    """
    base = os.path.realpath(root)
    for name in names:
        if not Path(os.path.realpath(root / name)).is_relative_to(base):
            raise DataError(
                f"{root / name} is a link that leads outside {root}, which is never followed: "
                "remove it, or name the place that it leads to"
            )
