"""The corpus of hostile inputs, and what is held of a command that meets one of them.

Law: a hostile input is refused in one sentence with exit code 2 or 3, or what is bad of it is left out and said; nothing is
written outside ``--out``, nothing of the input is run as code, and memory and time stay bounded.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.hostile_cases import archives, folders, images, jobs, left, metadata, runs, settings, tables
from benchmarks.hostile_cases.case import CASES, Case, Place, guarded
from benchmarks.zygote import Ended, Request, Zygote

__all__ = ["CASES", "Case", "Place", "attack", "train_small"]

GROUPS = tuple(
    module.__name__.rpartition(".")[2]
    for module in (metadata, folders, images, archives, settings, runs, jobs, left, tables)
)
MOST_MIB, MOST_SECONDS = 1024.0, 60.0
"""What a command may use beyond the process that it was forked from."""
LONGEST = 2000
"""Characters of a sentence."""
TRAIN = (
    "train digits:factor=50 --out {out} --steps 4 --network tiny --set precision=float32 "
    "--set memory_format=channels_last --set batch_size=16 "
    "--set checkpoint_every=2 --set previews=0 --set warmup=2"
)


def train_small(zygote: Zygote, folder: Path) -> Path:
    """A run of four steps in ``folder / "trained"``."""
    command = shlex.split(TRAIN.format(out=shlex.quote(str(folder / "trained"))))
    ended = zygote.run(Request(command, str(folder)))
    if ended.code:
        raise RuntimeError(f"the small run could not be trained: {ended.err}")
    return folder / "trained"


def attack(zygote: Zygote, case: Case, root: Path, trained: Path) -> tuple[list[str], Ended]:
    """Build a case in the new folder ``root``, run its command, and say what is wrong; an empty list when nothing is."""
    root.mkdir(parents=True)
    place = Place(root, trained)
    guarded(root)
    case.build(place)
    before = listing(root)
    names = {name: shlex.quote(str(root / name)) for name in ("data", "run", "out")} | {"root": shlex.quote(str(root))}
    variables = {"HOME": str(root), "EVENSCORE_CACHE": str(root / "out" / "cache"), "TMPDIR": str(root)}
    ended = zygote.run(Request(shlex.split(case.command.format(**names)), str(root), variables, case.before))
    before.pop(case.gone, None)
    changed = differences(before, listing(root), out="run" if "--out {run}" in case.command else "out")
    wrong = [f"outside --out: {change}" for change in changed] + judged(case, ended)
    if case.look is not None and ended.code in case.codes and (found := case.look(place)):
        wrong.append(found)
    return wrong, ended


def listing(root: Path) -> dict[str, str]:
    """Every entry below ``root`` with a digest of what it is; links are not followed."""
    found = {}
    for folder, folders_here, files in os.walk(root):
        for name in [*folders_here, *files]:
            path = Path(folder) / name
            found[str(path.relative_to(root))] = _digest(path)
    return found


def _digest(path: Path) -> str:
    if path.is_symlink():
        return f"link to {os.readlink(path)}"
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.stat().st_size < 2**28 else "large"
    return "folder" if path.is_dir() else "special"


def differences(before: Mapping[str, str], after: Mapping[str, str], out: str) -> list[str]:
    """Entries that came, went or changed, but for those in ``out``."""
    names = sorted(before.keys() | after.keys())
    return [
        f"{name!r} {before.get(name, 'absent')} -> {after.get(name, 'absent')}"
        for name in names
        if before.get(name) != after.get(name) and name.split(os.sep)[0] != out
    ]


def judged(case: Case, ended: Ended) -> list[str]:
    """What is wrong with how a command ended."""
    wrong = []
    if ended.code not in case.codes:
        wrong.append(f"exit code {ended.code}, not {' or '.join(map(str, case.codes))}")
    if "Traceback" in ended.err:
        wrong.append("a traceback")
    said = ended.err if ended.code else ended.out + ended.err
    if case.words not in said:
        wrong.append(f"it does not say {case.words!r}")
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", ended.out + ended.err):
        wrong.append("control characters in the output")
    lines = ended.err.splitlines()
    sentences = [line for line in lines if line.startswith("evenscore: ")]
    if ended.code and not (len(sentences) == 1 and sentences[0] == lines[-1]):
        wrong.append(f"not one sentence at the end but {len(sentences)}")
    if any("warning" in line.lower() for line in lines):
        wrong.append("a warning of a library")
    if max(map(len, lines), default=0) > LONGEST:
        wrong.append(f"a sentence of {max(map(len, lines))} characters")
    if ended.grown_mib > MOST_MIB or ended.seconds > MOST_SECONDS:
        wrong.append(f"{ended.grown_mib:.0f} MiB and {ended.seconds:.1f} s")
    return wrong


def can_run() -> str:
    """Why the corpus cannot be run on this system; empty where it can."""
    return "" if sys.platform == "linux" else "it needs fork, /proc and limits of processes"
