"""What a hostile input is: a function that builds it, the command that meets it, and how that command must end.

Law: a case writes nothing but what stands below its own folder; ``data`` and ``run`` are given to commands, ``out`` is the
one place where a command may write, and everything else is guarded.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

REFUSED, MISUSED, DONE = (3,), (2,), (0,)
EITHER = (2, 3)


@dataclass(frozen=True)
class Place:
    """The folder of one case.

    Attributes:
        root: everything of the case.
        trained: a small trained run, which must not be changed.
    """

    root: Path
    trained: Path

    @property
    def data(self) -> Path:
        """What the commands read as data."""
        return self.root / "data"

    @property
    def out(self) -> Path:
        """The one place where commands may write."""
        return self.root / "out"

    @property
    def canary(self) -> Path:
        """A file that appears only when something of the input was run as code."""
        return self.root / "canary"

    @property
    def outside(self) -> Path:
        """A guarded folder with a picture ``secret.png`` and a text ``precious.txt``."""
        return self.root / "outside"

    @property
    def run(self) -> Path:
        """A copy of the trained run, made on first use, for the case to spoil."""
        path = self.root / "run"
        if not path.exists():
            shutil.copytree(self.trained, path)
        return path


Builder = Callable[[Place], None]


@dataclass(frozen=True)
class Case:
    """A hostile input.

    Attributes:
        name: that of its builder.
        group: what it attacks.
        build: makes it, in words by its docstring.
        command: the command line; ``{data}``, ``{run}``, ``{out}`` and ``{root}`` stand for places.
        codes: exit codes that are right.
        words: what the one sentence must say (or, with exit code 0, standard output or error).
        before: ``module:function`` called with the folder in the process of the command, before it begins.
        slow: whether it takes more than a moment.
        look: a further check of the folder afterwards; returns what is wrong, or nothing.
        gone: a file that ``before`` removes, below the root.
    """

    name: str
    group: str
    build: Builder
    command: str
    codes: tuple[int, ...]
    words: str
    before: str = ""
    slow: bool = False
    look: Callable[[Place], str] | None = None
    gone: str = ""


CASES: list[Case] = []


def hostile(
    command: str,
    codes: tuple[int, ...],
    words: str,
    *,
    before: str = "",
    slow: bool = False,
    look: Callable[[Place], str] | None = None,
    gone: str = "",
) -> Callable[[Builder], Builder]:
    """Enter a builder into :data:`CASES`, under the name of its module as group."""

    def enter(build: Builder) -> Builder:
        group = build.__module__.rpartition(".")[2]
        CASES.append(Case(build.__name__, group, build, command, codes, words, before, slow, look, gone))
        return build

    return enter


def picture(path: Path, seed: int = 0, size: int = 8) -> Path:
    """A small grey PNG at ``path``; different seeds give different pictures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size)).astype(np.uint8)).save(path, "PNG")
    return path


def pictures(root: Path, classes: tuple[str, ...] = ("cat", "dog"), count: int = 3) -> Path:
    """A folder of ``count`` pictures of each class."""
    for k, name in enumerate(classes):
        for i in range(count):
            picture(root / name / f"{i}.png", 100 * k + i)
    return root


def labelled(root: Path, labels: tuple[str, ...], count: int = 3) -> Path:
    """A folder of pictures with ``metadata.jsonl``, ``count`` of each label."""
    import json

    lines = []
    for k, label in enumerate(labels):
        for i in range(count):
            name = f"{k}-{i}.png"
            picture(root / name, 100 * k + i)
            lines.append(json.dumps({"file_name": name, "label": label}))
    (root / "metadata.jsonl").write_text("\n".join(lines))
    return root


def guarded(root: Path) -> None:
    """The guarded folder of a case."""
    picture(root / "outside" / "secret.png", 7)
    (root / "outside" / "precious.txt").write_text("file_name,label\nprecious,words\n" * 20)
