"""A process that has imported the command line once and forks a child for every command: real commands, cheap to start.

Law: each command runs in a process of its own, under limits of its own (address space, processor time, wall time, size of
a file), without a network, with standard output and standard error in files of its own; nothing of it is left in the next one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MIB = 2**20
LONGEST_TICK = 0.5
"""Seconds between two looks at a command that are counted, at most: a machine may be held still."""
PRELOADED = (
    "evenscore.commands.balance",
    "evenscore.commands.balance_table",
    "evenscore.commands.compare",
    "evenscore.commands.evaluate",
    "evenscore.commands.report",
    "evenscore.commands.inspect",
    "evenscore.commands.restore",
    "evenscore.commands.sample",
    "evenscore.commands.train",
    "diffusers.models.unets.unet_2d",
)


@dataclass(frozen=True)
class Limits:
    """What a command may use.

    Attributes:
        seconds: of wall time; afterwards it is killed.
        address_mib: address space beyond that of the process it was forked from.
        file_mib: size of a file.
    """

    seconds: float = 60.0
    address_mib: int = 4096
    file_mib: int = 512


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: exit code; minus the number of the signal when it was killed.
        out: standard output.
        err: standard error.
        seconds: wall time.
        grown_mib: peak of resident memory beyond what it held when it was forked.
    """

    code: int
    out: str
    err: str
    seconds: float
    grown_mib: float


@dataclass(frozen=True)
class Request:
    """A command for the process to run; ``before`` names a function ``module:function`` that is called first."""

    argv: Sequence[str]
    folder: str
    variables: Mapping[str, str] = field(default_factory=dict)
    before: str = ""
    limits: Limits = field(default_factory=Limits)


class Zygote:
    """A client of the process; ``with Zygote() as zygote: zygote.run(request)``."""

    def __enter__(self) -> Zygote:
        variables = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.zygote"],
            cwd=ROOT,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait()

    def run(self, request: Request) -> Ended:
        """Run one command and wait for it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(asdict(request)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("the process that runs the commands has ended")
        return Ended(**json.loads(answer))


def serve() -> None:
    """Import, then answer one request a line until standard input ends."""
    import importlib
    import tempfile

    for name in PRELOADED:
        importlib.import_module(name)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory() as scratch:
        for line in sys.stdin:
            given = json.loads(line)
            request = Request(**{**given, "limits": Limits(**given["limits"])})
            answers.write(json.dumps(asdict(_forked(request, Path(scratch)))) + "\n")
            answers.flush()


def _forked(request: Request, scratch: Path) -> Ended:
    """Fork, wait, and kill the child when its time is over; seconds in which all of us were paused do not count."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _child(request, scratch)
    seconds, last, alive = 0.0, time.monotonic(), True
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        now = time.monotonic()
        seconds, last = seconds + min(now - last, LONGEST_TICK), now
        if done:
            break
        if alive and seconds > request.limits.seconds:
            os.kill(child, signal.SIGKILL)
            alive = False
        time.sleep(0.005)
    texts = [(scratch / name).read_text(encoding="utf-8", errors="backslashreplace") for name in ("out", "err")]
    code = os.waitstatus_to_exitcode(status)
    before = float((scratch / "before").read_text(encoding="ascii") or "inf")
    return Ended(code, *texts, seconds, max(0.0, usage.ru_maxrss / 1024 - before))


def _child(request: Request, scratch: Path) -> None:
    """Take on the limits, the folder and the files of the request, and become the command; never returns."""
    code = 1
    try:
        (scratch / "before").write_text(f"{_pages(1) * os.sysconf('SC_PAGESIZE') / MIB}", encoding="ascii")
        for number, name in ((1, "out"), (2, "err")):
            descriptor = os.open(scratch / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(descriptor, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.update(request.variables)
        os.chdir(request.folder)
        _limit(request.limits)
        sys.addaudithook(_offline)
        code = _command(request)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _offline(event: str, _: tuple[Any, ...]) -> None:
    """Let no command reach for a network."""
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise AssertionError(f"a command reached for the network: {event}")


def _pages(which: int) -> int:
    """Pages of address space (0) or of resident memory (1) of this process."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[which])


def _limit(limits: Limits) -> None:
    import resource

    space = _pages(0) * os.sysconf("SC_PAGESIZE") + limits.address_mib * MIB
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file_mib * MIB,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _command(request: Request) -> int:
    import importlib

    from evenscore.cli import main

    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    sys.argv = ["evenscore", *request.argv]
    if request.before:
        module, _, name = request.before.partition(":")
        getattr(importlib.import_module(module), name)(Path(request.folder))
    try:
        main(list(request.argv))
    except SystemExit as leaving:
        answer: Any = leaving.code
        return answer if isinstance(answer, int) else int(answer is not None)
    return 0


if __name__ == "__main__":
    serve()
