"""The command line: one command for each verb. Logs go to standard error, ``--json`` prints one object to standard output.

Exit codes: 0 done, 1 a failure while running, 2 the command was given wrongly, 3 the data or the environment is not as
needed, 130 stopped by Ctrl-C after saving. Under ``torchrun`` the commands in :data:`SHARED` divide their work.
Nothing heavy is imported until a command runs.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

import typer

from evenscore.cli import about, begin, draw, judge, learn, report
from evenscore.errors import EvenscoreError, printable

MISUSE: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""What typer raises for an unknown option or a bad value: the ClickException of click, or of the copy inside typer."""

app = typer.Typer(
    name="evenscore",
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Make unequal classes equal: class-conditional score networks that are as good on the rarest class as on the "
    "most common one. Give a folder of unequally labelled images, get a balanced one.",
    epilog="Start with: evenscore demo. Then: evenscore inspect FOLDER; evenscore balance FOLDER --out BALANCED.",
)

SHARED = ("train", "sample", "balance", "evaluate")
"""Commands that several processes can share."""
LONGEST = 1500
"""Characters of a sentence about a failure; what it says first and last, the remedy, is kept."""
SPINS = "20000"
"""How long an OpenMP thread spins before it sleeps: the library's own 300000 stalls a busy machine and gains nothing."""

COMMANDS: dict[str, Callable[..., None]] = {
    "inspect": begin.inspect,
    "train": learn.train,
    "sample": draw.sample,
    "train-classifier": learn.train_classifier,
    "finish": learn.finish,
    "distill": learn.distill,
    "balance": begin.balance,
    "restore": draw.restore,
    "likelihood": judge.likelihood,
    "evaluate": judge.evaluate,
    "downstream": judge.downstream,
    "report": report.report,
    "compare": judge.compare,
    "list": about.list_,
    "cite": about.cite,
    "doctor": about.doctor,
    "demo": begin.demo,
}
"""Every command by its name, in the order in which ``--help`` shows them."""

for _name, _command in COMMANDS.items():
    app.command(name=_name)(_command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code; every expected failure is one sentence on standard error."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    _quiet()
    given = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        code = _run(given)
    except EvenscoreError as error:
        code = _fail(str(error), error.exit_code)
    except MISUSE as error:
        code = _fail(getattr(error, "format_message", error.__str__)(), 2)
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        code = _fail(f"memory is exhausted ({error}): ask for less at once, such as smaller batches or images", 3)
    except (KeyboardInterrupt, typer.Abort):
        code = _fail("stopped", 130)
    except BrokenPipeError:
        code = 1
    sys.exit(code or 0)


def _run(given: list[str]) -> Any:
    """Run a command, as one of several processes where there are any."""
    if "WORLD_SIZE" not in os.environ:
        return app(args=given, standalone_mode=False)
    from evenscore import ranks

    if given[0] not in SHARED:
        ranks.require_alone(f"evenscore {given[0]}")
    try:
        return app(args=given, standalone_mode=False)
    finally:
        ranks.leave()


def _quiet() -> None:
    """What libraries warn of is not for the people who give commands; what cannot be written as it is, is escaped."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _out_of_memory(error: Exception) -> bool:
    """Whether it is a failed allocation: torch tells of one by a ``RuntimeError``."""
    words = ("allocate memory", "out of memory", "enough memory", "size calculation overflowed")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)


def _fail(sentence: str, code: int) -> int:
    text = printable(" ".join(sentence.splitlines()))
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"
    rank = os.environ.get("RANK", "0")
    who = "evenscore" if rank == "0" else f"evenscore (process {rank})"
    print(f"{who}: {text}", file=sys.stderr)
    return code
