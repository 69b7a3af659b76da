"""One file that sets the project up and runs it: ``python3 dev.py demo`` and ``python3 dev.py test``.

It needs Python 3.11 and nothing else. It makes ``.venv`` beside this file, chooses torch, installs the project with
that torch pinned, and skips all of this when nothing changed since the last time.

Law: a stamp in ``.venv`` stands only after an installation that ended well, and only for the state that it describes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "evenscore-setup.json"
CONSTRAINT = VENV / "evenscore-constraint.txt"
OLDEST_TORCH = "2.5"
CPU_TORCH = ("torch==2.13.0+cpu", "torch==2.13.0")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
EXTRAS = {"demo": (), "test": ("dev",), "lint": ("dev",), "bench": (), "setup": ("dev",)}
ENVIRONMENT_ERROR, USAGE_ERROR, INTERRUPTED = 3, 2, 130

HELP = """\
commands:
  demo [ARGS]        balance a small long-tailed data set, start to end (ARGS go to `evenscore demo`)
  test [ARGS]        ruff, mypy and the tests (ARGS go to pytest, for example: test -k solvers)
  lint               ruff and mypy only
  bench [NAME ARGS]  run a benchmark; without NAME, list them
  setup              install everything and stop

torch:
  Without an NVIDIA device the CPU build is preferred; with one, any torch >= 2.5 is taken. --torch, or the variable
  EVENSCORE_TORCH, says otherwise:
    --torch installed        keep the torch >= 2.5 that is in .venv, or else that of the Python running this file
    --torch 'torch==2.6.0'   install this requirement
  Set the variable to keep a choice: it is read at every call.

examples:
  python3 dev.py demo
  EVENSCORE_TORCH=installed python3 dev.py test
"""


class SetupError(Exception):
    """One sentence for the person at the keyboard, and the exit code that goes with it."""

    def __init__(self, message: str, code: int = ENVIRONMENT_ERROR) -> None:
        super().__init__(message)
        self.code = code


def run(command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> int:
    """Print a command, run it in the repository root, return its exit code.

    Ctrl-C reaches the program itself; it is given the time to end in its own way (a training run saves a checkpoint).

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed and the program did not say so by its own exit code.
    """
    words = [str(word) for word in command]
    shown = [Path(words[0]).name if Path(words[0]).is_absolute() else words[0], *words[1:]]
    print("$", " ".join(shown), flush=True)
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: pressed.append(number))
    try:
        code = subprocess.run(words, cwd=ROOT, env={**os.environ, **(env or {})}, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed and code not in (0, INTERRUPTED):
        raise KeyboardInterrupt
    return 128 - code if code < 0 else code


def answer(command: Sequence[str | Path], timeout: float = 60) -> str | None:
    """What a command prints, or None when it cannot be run, fails, or does not end."""
    try:
        done = subprocess.run(
            [str(word) for word in command], cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def version_key(text: str) -> tuple[int, int, int, int]:
    """A version as numbers that compare in order; a pre-release stands just before its release.

    Raises:
        ValueError: ``text`` does not begin with two numbers.
    """
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?(a|b|rc|\.dev)?", text)
    if not found:
        raise ValueError(f"{text!r} is not a version")
    major, minor, patch, early = found.groups()
    return int(major), int(minor), int(patch or 0), 0 if early else 1


def recent_enough(version: str | None) -> bool:
    """Whether ``version`` of torch is one that the project runs with."""
    return version is not None and version_key(version) >= version_key(OLDEST_TORCH)


@dataclass(frozen=True)
class TorchChoice:
    """Which torch to have: requirements to try in order, or none of them when one that is installed is kept."""

    candidates: tuple[str, ...] = ()
    inherit: bool = False  # .venv sees the packages of the Python that runs this file


@dataclass(frozen=True)
class Machine:
    """What the choice depends on: a device, and the versions of torch that are installed."""

    device: bool = False
    venv_torch: str | None = None
    own_torch: str | None = None


def choose_torch(request: str, machine: Machine) -> TorchChoice:
    """The torch to have, from what was asked (``auto``, ``installed`` or a requirement) and what the machine has.

    Raises:
        SetupError: no installed torch can be kept (exit code 3), or the request is not one for torch (exit code 2).
    """
    if request == "auto":
        return TorchChoice((f"torch>={OLDEST_TORCH}",) if machine.device else CPU_TORCH)
    if request == "installed":
        return keep_installed(machine)
    if not re.match(r"torch(?![\w.-])", request):
        known = "auto, installed, or a requirement like torch==2.6.0"
        raise SetupError(f"the torch request {request!r} is not understood: give {known}", USAGE_ERROR)
    return TorchChoice((request,))


def keep_installed(machine: Machine) -> TorchChoice:
    """The choice that installs no torch: the one in ``.venv``, or else the one beside this Python."""
    if recent_enough(machine.venv_torch):
        return TorchChoice()
    if recent_enough(machine.own_torch):
        return TorchChoice(inherit=True)
    found = machine.own_torch or machine.venv_torch
    have = f"torch {found} is older than {OLDEST_TORCH}" if found else f"{sys.executable} has no torch"
    todo = f"install torch>={OLDEST_TORCH} there, or drop the request"
    raise SetupError(f"an installed torch was asked for, but {have}: {todo}")


def has_device() -> bool:
    """Whether an NVIDIA driver answers and lists a device."""
    program = shutil.which("nvidia-smi")
    return program is not None and "GPU" in (answer([program, "-L"], timeout=20) or "")


def torch_version(python: str | Path) -> str | None:
    """The version of torch that an interpreter has, without importing it."""
    return answer([python, "-c", "from importlib.metadata import version; print(version('torch'))"])


def venv_python(venv: Path = VENV, platform: str = os.name) -> Path:
    """The interpreter of a virtual environment."""
    return venv / "Scripts" / "python.exe" if platform == "nt" else venv / "bin" / "python"


def base_python() -> str:
    """The interpreter to make ``.venv`` with: this one, or what it was made from when it is ``.venv``'s own."""
    inside = Path(sys.prefix).resolve() == VENV.resolve()
    return str(getattr(sys, "_base_executable", sys.executable)) if inside else sys.executable


def healthy(venv: Path = VENV) -> bool:
    """Whether ``.venv`` has an interpreter that starts, has pip, and is of the version of this Python."""
    said = answer([venv_python(venv), "-c", "import sys, pip; print(sys.version_info[:2])"])
    return said == str(sys.version_info[:2])


def make_venv(inherit: bool) -> None:
    """Make ``.venv`` anew; with ``inherit`` it sees the packages of the Python that runs this file.

    Raises:
        SetupError: this Python cannot make virtual environments.
    """
    options = ["--clear", *(["--system-site-packages"] if inherit else [])]
    if run([base_python(), "-m", "venv", *options, VENV]) != 0:
        raise SetupError(
            f"{base_python()} cannot make a virtual environment: install its venv module (on Debian and Ubuntu, "
            "the package python3-venv) and run this again"
        )
    if inherit and sys.prefix != sys.base_prefix:
        show_packages_of_this_environment()


def show_packages_of_this_environment() -> None:
    """Let ``.venv`` see a virtual environment that runs this file (``--system-site-packages`` shows only its base)."""
    code = "import sysconfig; print(sysconfig.get_path('purelib')); print(sysconfig.get_path('platlib'))"
    theirs, ours = answer([sys.executable, "-c", code]), answer([venv_python(), "-c", code])
    if theirs and ours:
        Path(ours.splitlines()[0], "evenscore-inherited.pth").write_text(theirs + "\n", encoding="utf-8")


def fingerprint(choice: TorchChoice, torch: str | None = None, root: Path = ROOT) -> str:
    """SHA-256 of what an installation depends on: pyproject.toml, the torch to have, this Python, this folder."""
    parts = [sys.version, str(root), repr(choice), torch or ""]
    digest = hashlib.sha256((root / "pyproject.toml").read_bytes())
    digest.update("\n".join(parts).encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class Stamp:
    """An installation that ended well: its fingerprint and the extras that it brought."""

    fingerprint: str
    extras: frozenset[str] = field(default_factory=frozenset)

    def covers(self, fingerprint: str, extras: Iterable[str]) -> bool:
        """Whether nothing has to be installed to have ``extras`` in this state."""
        return self.fingerprint == fingerprint and self.extras >= set(extras)

    def write(self, path: Path) -> None:
        """Write the stamp so that it is there whole or not at all."""
        part = path.with_suffix(".part")
        part.write_text(json.dumps({"fingerprint": self.fingerprint, "extras": sorted(self.extras)}), encoding="utf-8")
        os.replace(part, path)


def read_stamp(path: Path = STAMP) -> Stamp:
    """The stamp of the last installation; one that covers nothing when there is none or it cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Stamp(str(found["fingerprint"]), frozenset(found["extras"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Stamp("")


def pip(*words: str | Path) -> int:
    """Run pip of ``.venv``; quiet unless a person is watching."""
    quiet = [] if sys.stdout.isatty() else ["-qq"]
    return run([venv_python(), "-m", "pip", "install", "--disable-pip-version-check", *quiet, *words])


def install_torch(candidates: Sequence[str]) -> None:
    """Install the first candidate that can be had.

    Raises:
        SetupError: none of them can be had.
    """
    for number, candidate in enumerate(candidates, start=1):
        if pip(candidate) == 0:
            return
        if number < len(candidates):
            print(f"{candidate} is not offered here; trying {candidates[number]}", flush=True)
    raise SetupError(
        f"{' or '.join(candidates)} could not be installed: check the network and pip's settings and run this again, "
        "or name another with --torch 'torch==VERSION'"
    )


def install_project(extras: Iterable[str], torch: str) -> None:
    """Install the project in editable mode with its extras; the torch that is installed cannot be replaced.

    Raises:
        SetupError: pip failed.
    """
    CONSTRAINT.write_text(f"torch=={torch}\n", encoding="utf-8")
    names = ",".join(sorted(extras))
    if pip("--editable", f".[{names}]" if names else ".", "--constraint", CONSTRAINT) != 0:
        raise SetupError("the packages could not be installed: check the network and pip's settings and run this again")


def torch_request(option: str | None) -> str:
    """What was asked for: the option, else the variable, else ``auto``."""
    return option or os.environ.get("EVENSCORE_TORCH") or "auto"


def look_at_machine(request: str, fit: bool) -> Machine:
    """Only what ``request`` depends on is looked at: each look starts a program."""
    if request == "auto":
        return Machine(device=has_device())
    if request != "installed":
        return Machine()
    venv_torch = torch_version(venv_python()) if fit else None
    own_torch = None if recent_enough(venv_torch) else torch_version(sys.executable)
    return Machine(venv_torch=venv_torch, own_torch=own_torch)


def setup(extras: Iterable[str], option: str | None) -> None:
    """Have ``.venv`` with the chosen torch, the project and ``extras``; do nothing when it is so already.

    Raises:
        SetupError: something cannot be installed.
    """
    request = torch_request(option)
    fit = healthy()
    machine = look_at_machine(request, fit)
    choice = choose_torch(request, machine)
    if fit and read_stamp().covers(fingerprint(choice, machine.venv_torch), extras):
        return
    STAMP.unlink(missing_ok=True)
    if not fit or choice.inherit:
        make_venv(choice.inherit)
    if choice.candidates:
        install_torch(choice.candidates)
    torch = torch_version(venv_python())
    if torch is None or not recent_enough(torch):
        raise SetupError(f".venv has torch {torch}, but {OLDEST_TORCH} or newer is needed: name one with --torch")
    install_project(extras, torch)
    if request == "installed":
        choice, machine = TorchChoice(), Machine(venv_torch=torch)
    Stamp(fingerprint(choice, machine.venv_torch), frozenset(extras)).write(STAMP)


def lint_commands() -> list[list[str]]:
    """The checks that run no code of the project."""
    return [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]]


def modules_to_run(command: str, rest: Sequence[str]) -> list[list[str]]:
    """What a command runs, as words after ``python -m``, in order."""
    if command == "demo":
        return [["evenscore", "demo", *rest]]
    if command == "bench":
        return [["benchmarks", *rest]]
    if command == "lint":
        return lint_commands()
    if command == "test":
        return [*lint_commands(), ["pytest", "-n", "2", "--dist", "worksteal", *rest]]
    return []


def parse(argv: Sequence[str]) -> tuple[str, list[str], str | None]:
    """The command, the words that go on to it, and the torch option, which may stand anywhere before ``--``."""
    stop = argv.index("--") if "--" in argv else len(argv)
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--torch", metavar="WHICH", help="auto, installed, or a requirement; see below")
    options, words = early.parse_known_args(argv[:stop])
    parser = argparse.ArgumentParser(
        prog="dev.py",
        description="Set the project up (in .venv) and run it. Installs only what has changed.",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="python3 dev.py [--torch WHICH] {demo,test,lint,bench,setup} [ARGS]",
        parents=[early],
    )
    parser.add_argument("command", choices=list(EXTRAS), help="what to do")
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="ARGS", help="words that go on to the command")
    found = parser.parse_args(words)
    rest = [*found.rest, *argv[stop + 1 :]]
    if rest and found.command in ("setup", "lint"):
        parser.error(f"{found.command} takes no further words, but got: {' '.join(rest)}")
    return found.command, rest, options.torch


def check_python(version: tuple[int, int]) -> None:
    """Refuse a Python that is too old.

    Raises:
        SetupError: it is.
    """
    if version < (3, 11):
        have = ".".join(map(str, version))
        raise SetupError(
            f"this is Python {have}, but 3.11 or newer is needed: run, for example, python3.11 dev.py test"
        )


def main(argv: Sequence[str]) -> int:
    """Set up, then run the command; the exit code is that of the first program that fails."""
    try:
        check_python(sys.version_info[:2])
        command, rest, option = parse(argv)
        setup(EXTRAS[command], option)
        for words in modules_to_run(command, rest):
            code = run([venv_python(), "-m", *words], ONE_THREAD if words[0] == "pytest" else None)
            if code != 0:
                return code
    except SetupError as error:
        print(f"dev.py: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("dev.py: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
