"""``evenscore demo``."""

from __future__ import annotations

from pathlib import Path

from evenscore.balancing import BalanceConfig
from evenscore.commands.balance import make, show
from evenscore.commands.terminal import emit, say
from evenscore.configuration import TrainConfig
from evenscore.data import load

DATA = "digits:factor=50"
MINUTES = 1.5
NAME = "evenscore-demo"


def run(out: Path | None, seed: int, as_json: bool) -> None:
    """Balance the built-in digits and print the table."""
    folder = out or free_folder(Path(NAME))
    data = load(DATA)
    say("real scans of handwritten digits, 8 x 8; the largest class has about 50 times the samples of the smallest")
    config = BalanceConfig(train=TrainConfig(minutes=MINUTES, seed=seed), seed=seed)
    summary = make(data, folder, config)
    if as_json:
        emit(summary)
    else:
        show(summary, folder)


def free_folder(path: Path) -> Path:
    """``path``, or ``path-2``, ``path-3``, ...: the first that does not exist, or holds a demo that was interrupted."""
    candidate, number = path, 2
    while candidate.exists() and (candidate / "summary.json").exists():
        candidate, number = path.with_name(f"{path.name}-{number}"), number + 1
    return candidate
