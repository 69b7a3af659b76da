"""What was computed once and can be read again: tensors by a content hash, in the user's cache folder.

Law: a file is named by a digest of everything that it was computed from, so it is either right or absent; a damaged file, or
a folder that cannot be written, costs time and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from evenscore.checkpoint import make_folder, write_atomic
from evenscore.errors import DataError

VARIABLE = "EVENSCORE_CACHE"
"""Environment variable that names another folder."""


def default_folder() -> Path:
    """``$EVENSCORE_CACHE``, or ``evenscore`` in the user's cache folder (``$XDG_CACHE_HOME`` or ``~/.cache``)."""
    if VARIABLE in os.environ:
        return Path(os.environ[VARIABLE])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evenscore"


class Cache:
    """Tensors by key in a folder.

    Args:
        folder: where; :func:`default_folder` when None.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = default_folder() if folder is None else folder

    def get(self, key: str, make: Callable[[], Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
        """The tensors under ``key``, made and kept when they are not there."""
        path = self.folder / f"{key}.safetensors"
        if path.is_file():
            with suppress(SafetensorError, OSError):
                return load_file(path)
        made = {name: tensor.contiguous() for name, tensor in make().items()}
        with suppress(DataError):
            make_folder(self.folder)
            write_atomic(path, save(made))
        return made
