"""A folder that one process works in at a time.

Law: the hold ends when the process ends, however it ends; there is nothing to clean up after a kill.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evenscore.checkpoint import clear_partials, unwritable
from evenscore.confined import inside
from evenscore.errors import RunError


@contextmanager
def hold(folder: Path, name: str) -> Iterator[None]:
    """Hold the file ``name`` in ``folder`` against other processes; released when the process ends, however it ends.

    What a killed process left unfinished in the folder itself is removed.

    Raises:
        RunError: another process holds it.
        DataError: the folder cannot be written, or the file is a link that leads out of it.
    """
    inside(folder, name)
    try:
        file = (folder / name).open("a+")
    except OSError as error:
        raise unwritable(folder / name, error) from error
    with file:
        if not _try_lock(file.fileno()):
            raise RunError(f"{folder} is in use by another process: wait until it ends, or choose another --out")
        clear_partials(folder)
        yield


def _try_lock(descriptor: int) -> bool:
    if os.name != "posix":
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
