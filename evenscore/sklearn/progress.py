"""What a fit says while it trains, and how many threads it uses.

Law: a fit that takes less than :data:`QUIET` seconds says nothing; nothing is said with ``verbose=0``. The number of
torch's threads is the same after a fit as before.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from evenscore.training import Progress

QUIET, EVERY = 3.0, 2.0


class Teller:
    """Writes the progress of training to standard error, a line now and then.

    Args:
        verbose: 0 for nothing.
    """

    def __init__(self, verbose: int) -> None:
        self.verbose = verbose
        self.started = self.told = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        """After a training step."""
        now = time.monotonic()
        if not self.verbose or now - self.started < QUIET or now - self.told < EVERY:
            return
        self.told = now
        line = f"evenscore: step {progress.step}, {progress.fraction:.0%}, about {progress.remaining:.0f} s left"
        print(line, file=sys.stderr, flush=True)


@contextmanager
def threads(number: int | None) -> Iterator[None]:
    """Torch with ``number`` threads inside; None for one: the products are small, and threads wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if number is None else number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
