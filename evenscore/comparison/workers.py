"""Several runs at once: worker processes with one thread each, that end when the process that started them does.

Law: a worker holds a lock as long as it lives, so that a command given again right after its parent was killed waits for
what is left of it, and no two processes ever train one run.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import NamedTuple

from evenscore.comparison.plan import Trial
from evenscore.comparison.trial import Setup, run_trial
from evenscore.errors import EvenscoreError, RunError
from evenscore.lock import hold

PATIENCE = 60.0
"""Seconds that are waited for workers of a process that was killed."""
POLL = 0.2


class _Worker(NamedTuple):
    setup: Setup
    stop: Event
    lock: ExitStack


_worker: list[_Worker] = []
"""What this process was started with; empty in any process that is no worker."""


def run_parallel(
    setup: Setup, trials: Sequence[Trial], workers: int, stop: Callable[[], bool]
) -> Iterator[tuple[Trial, str]]:
    """Run trials in processes; yields each with how it ended, in the order in which they end.

    Raises:
        EvenscoreError: a worker was killed; what was finished is kept.
    """
    context = get_context("spawn")
    stopping = context.Event()
    arguments = (setup, stopping, os.getpid())
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=arguments) as pool:
        pending: dict[Future[str], Trial] = {pool.submit(_work, trial): trial for trial in trials}
        try:
            while pending:
                if stop():
                    stopping.set()
                for future in wait(pending, timeout=POLL, return_when=FIRST_COMPLETED).done:
                    yield pending.pop(future), future.result()
        except BrokenProcessPool:
            if stop():  # a signal to all processes may have ended one that was not ready for it
                return
            raise EvenscoreError(
                "a worker process was killed, perhaps for want of memory: the same command goes on from here, with fewer "
                "--workers if it happens again"
            ) from None
        finally:
            stopping.set()
            pool.shutdown(cancel_futures=True)


def wait_for_orphans(root: Path, patience: float = PATIENCE) -> None:
    """Wait until no worker of an earlier process lives.

    Raises:
        RunError: one still does after ``patience`` seconds.
    """
    until = time.monotonic() + patience
    for path in root.glob("worker-*.lock"):
        while True:
            try:
                with hold(root, path.name):
                    path.unlink(missing_ok=True)
                break
            except RunError:
                if time.monotonic() > until:
                    raise
                time.sleep(POLL)


def _begin(setup: Setup, stop: Event, parent: int) -> None:
    """Make this process a worker: the parent alone answers signals, and its end is this one's."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    lock = ExitStack()
    lock.enter_context(hold(setup.root, f"worker-{os.getpid()}.lock"))
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    _worker.append(_Worker(setup, stop, lock))


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL)
    os._exit(1)


def _work(trial: Trial) -> str:
    """One trial, to its end; returns how it ended."""
    setup, stop, _ = _worker[0]
    if stop.is_set():
        return "stopped"
    trained = run_trial(setup, trial, stop.is_set)
    while True:
        try:
            next(trained)
        except StopIteration as ended:
            return str(ended.value)
