"""Parts of a long benchmark: each a JSON file that is written once, so that the same command goes on from there.

Law: a part that is there is read and not computed again; a file is complete or absent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from evenscore.checkpoint import make_folder, write_atomic
from evenscore.errors import DataError
from evenscore.training import Progress


def kept(path: Path, compute: Callable[[], Any]) -> Any:
    """A part from its file, computed when it is not there."""
    if not path.is_file():
        make_folder(path.parent)
        write_atomic(path, json.dumps(compute()).encode())
    return json.loads(path.read_text(encoding="utf-8"))


def hold(folder: Path, setting: Any) -> None:
    """Remember the setting of the parts in a folder, and refuse a folder that holds those of another.

    Raises:
        DataError: it does.
    """
    mine = json.loads(json.dumps(setting))
    if kept(folder / "setting.json", lambda: mine) != mine:
        raise DataError(f"{folder} holds parts of another setting: give another --out, or remove it")


def worked_off(name: str, job: Iterable[Progress]) -> None:
    """Work on a training or distillation to its end, saying where it is."""
    for progress in job:
        if progress.event == "saved" or progress.text:
            print(name, progress.step, progress.text, flush=True)
