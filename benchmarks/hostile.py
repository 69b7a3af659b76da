"""Every hostile input of the corpus is given to a real command: refused in one sentence, or left out and said."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.hostile_inputs import CASES, MOST_MIB, MOST_SECONDS, attack, can_run, train_small
from benchmarks.runner import Outcome
from benchmarks.zygote import Zygote
from evenscore.errors import DataError

SUMMARY = "hostile inputs: nothing written outside --out, no code run, one sentence each, bounded memory and time"
FEWEST = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--only", default="", help="only cases whose group or name holds these letters")


def run(args: argparse.Namespace) -> Outcome:
    """Run every case in a folder of its own and gather what is wrong.

    Raises:
        DataError: a system that cannot run it.
    """
    if reason := can_run():
        raise DataError(f"the hostile inputs cannot be run here ({reason}): run them on Linux")
    chosen = [case for case in CASES if args.only in f"{case.group}.{case.name}"]
    wrong: dict[str, list[str]] = {}
    ends = []
    with tempfile.TemporaryDirectory() as folder, Zygote() as zygote:
        trained = train_small(zygote, Path(folder))
        for case in chosen:
            started = time.monotonic()
            found, ended = attack(zygote, case, Path(folder) / case.group / case.name, trained)
            ends.append(ended)
            name, taken = f"{case.group}.{case.name}", time.monotonic() - started
            print(f"{'FAILS' if found else 'holds'} {name} ({taken:.1f} s)", *found, sep="; ", file=sys.stderr)
            if found:
                wrong[name] = found
                print(ended.err[-1500:], file=sys.stderr, flush=True)
    values = {
        "inputs": len(chosen),
        "by group": dict(Counter(case.group for case in chosen)),
        "refused": sum(ended.code in (2, 3) for ended in ends),
        "left out and said": sum(ended.code == 0 for ended in ends),
        "largest growth in MiB": max(ended.grown_mib for ended in ends),
        "longest in seconds": max(ended.seconds for ended in ends),
        "wrong": {name: "; ".join(found) for name, found in wrong.items()} or 0,
    }
    bound = {"inputs": FEWEST, "largest growth in MiB": MOST_MIB, "longest in seconds": MOST_SECONDS, "wrong": 0}
    return Outcome(values, bound, not wrong and (len(chosen) >= FEWEST or bool(args.only)))
