"""Talking to the person at the terminal: progress with time left, a stop on Ctrl-C that saves first, tables, JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from evenscore.errors import printable

STOPPED = 130
LINES = 20
"""Lines of progress over a whole job where standard error is not a terminal."""


def emit(value: Any) -> None:
    """Print one JSON object on standard output; where a name could act on a terminal, all of it is ASCII."""
    text = json.dumps(value, ensure_ascii=False, indent=1, default=str)
    print(text if text == printable(text) else json.dumps(value, indent=1, default=str))


def tell(text: str = "") -> None:
    """A line of the answer on standard output."""
    print(printable(text))


def say(text: str = "") -> None:
    """A line for people on standard error."""
    print(printable(text), file=sys.stderr, flush=True)


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on standard output; numbers stand right."""
    table = Table(title=_plain(title) or None)
    for i, column in enumerate(columns):
        cells = [row[i] for row in rows]
        table.add_column(
            _plain(column), justify="right" if all(_numeric(c) for c in cells) else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(_plain(cell) for cell in row))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 100, highlight=False).print(table)


def _numeric(cell: str) -> bool:
    return (bool(cell) and cell.strip("-~%").replace(",", "").replace(".", "").isdigit()) or cell in ("", "-")


def _plain(cell: str) -> str:
    """Brackets in a name are text, not styles, and so is what a terminal would act on."""
    return escape(printable(cell))


def duration(seconds: float) -> str:
    """Seconds in the unit that people would use: 45 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Stop:
    """True once a stop was asked; the second time the work is cut off at once."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        return self.asked

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        with suppress(OSError):  # not print: the signal may have come in the middle of one
            os.write(2, b"stopping: saving after this step (again to stop at once)\n")


@contextmanager
def stopping() -> Iterator[Stop]:
    """Ctrl-C and SIGTERM ask for a stop inside; handlers are put back outside."""
    stop = Stop()
    before = {number: signal.signal(number, stop._handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Bar:
    """Progress of a job with time left: a bar in a terminal, a line now and then elsewhere."""

    def __init__(self) -> None:
        self.console = Console(file=sys.stderr)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
        self.bar = Progress(*columns, TextColumn("{task.fields[left]}"), TimeElapsedColumn(), console=self.console)
        self.tasks: dict[str, TaskID] = {}
        self.shown: dict[str, int] = {}

    def __enter__(self) -> Bar:
        if self.console.is_terminal:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.console.is_terminal:
            self.bar.stop()

    def update(self, name: str, fraction: float, text: str, remaining: float | None = None) -> None:
        """Show that the part ``name`` is at ``fraction``."""
        left = f"{duration(remaining)} left" if remaining is not None and fraction < 1 else ""
        if self.console.is_terminal:
            if name not in self.tasks:
                self.tasks[name] = self.bar.add_task(name, total=1.0, left="")
            self.bar.update(self.tasks[name], completed=fraction, description=f"{name}: {text}", left=left)
            return
        line = int(fraction * LINES)
        if self.shown.get(name) != line:
            self.shown[name] = line
            say(f"{name} {fraction:4.0%}  {text}{'  ' + left if left else ''}")
