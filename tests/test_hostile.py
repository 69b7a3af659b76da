"""Hostile inputs: refused in one sentence or left out and said, nothing written elsewhere, no code run, all bounded.

The slow cases run with ``python -m benchmarks hostile``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks.hostile_inputs import CASES, Case, attack, can_run, differences, judged, listing, train_small
from benchmarks.zygote import Ended, Request, Zygote

pytestmark = pytest.mark.skipif(bool(can_run()), reason=can_run() or "it can be run")
QUICK = [case for case in CASES if not case.slow]


class Target(NamedTuple):
    """What attacks are run on: the process that runs the commands, and a small trained run."""

    zygote: Zygote
    trained: Path


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One process for all cases."""
    with Zygote() as zygote:
        yield Target(zygote, train_small(zygote, tmp_path_factory.mktemp("hostile")))


@pytest.mark.parametrize("case", QUICK, ids=lambda case: f"{case.group}-{case.name}")
def test_the_command_holds(case: Case, target: Target, tmp_path: Path) -> None:
    wrong, ended = attack(target.zygote, case, tmp_path / "case", target.trained)
    assert wrong == [], ended.err


def test_the_corpus_is_large_and_its_names_are_unique() -> None:
    assert len(CASES) >= 40
    assert len({(case.group, case.name) for case in CASES}) == len(CASES)
    assert all(case.build.__doc__ for case in CASES)


def test_what_is_written_elsewhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("as it was")
    (tmp_path / "gone").write_text("removed")
    (tmp_path / "link").symlink_to("kept")
    before = listing(tmp_path)
    assert differences(before, listing(tmp_path), "out") == []
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "new").write_text("allowed")
    (tmp_path / "gone").unlink()
    (tmp_path / "kept").write_text("changed")
    (tmp_path / "made").mkdir()
    found = differences(before, listing(tmp_path), "out")
    assert [change.split()[0] for change in found] == ["'gone'", "'kept'", "'made'"]


@pytest.mark.parametrize(
    ("ended", "says"),
    [
        (Ended(1, "", "evenscore: no\n", 0.1, 1.0), "exit code 1"),
        (Ended(3, "", "Traceback\nevenscore: bad words\n", 0.1, 1.0), "a traceback"),
        (Ended(3, "", "evenscore: no\n", 0.1, 1.0), "it does not say 'bad words'"),
        (Ended(3, "", "evenscore: bad words\nmore\n", 0.1, 1.0), "not one sentence at the end"),
        (Ended(3, "\x1b[2J", "evenscore: bad words\n", 0.1, 1.0), "control characters"),
        (Ended(3, "", "evenscore: bad words" + "x" * 5000, 0.1, 1.0), "a sentence of"),
        (Ended(3, "", "evenscore: bad words\n", 99.0, 1.0), "99.0 s"),
        (Ended(3, "", "evenscore: bad words\n", 0.1, 5000.0), "5000 MiB"),
        (Ended(3, "", "UserWarning: x\nevenscore: bad words\n", 0.1, 1.0), "a warning of a library"),
    ],
)
def test_what_is_wrong_with_an_end_is_said(ended: Ended, says: str) -> None:
    case = Case("name", "group", lambda place: None, "inspect", (3,), "bad words")
    assert any(says in wrong for wrong in judged(case, ended))
    assert judged(case, Ended(3, "", "note: x\nevenscore: bad words\n", 0.1, 1.0)) == []


def test_limits_are_kept(target: Target, tmp_path: Path) -> None:
    ended = target.zygote.run(Request(["inspect", "digits"], str(tmp_path), before="tests.test_hostile:take_much"))
    assert ended.code == 3
    assert ended.err.startswith("evenscore: memory is exhausted (")
    assert ended.err.endswith("ask for less at once, such as smaller batches or images\n")


def take_much(_: Path) -> None:
    """Let the command ask for more memory than there is."""
    import torch

    from evenscore.data import BUILTIN

    BUILTIN["digits"] = lambda spec: torch.empty(2**45)


def test_the_memory_that_a_command_took_is_measured(target: Target, tmp_path: Path) -> None:
    plain, greedy = (
        target.zygote.run(Request(["list", "solvers"], str(tmp_path), before=before))
        for before in ("", "tests.test_hostile:take_a_quarter")
    )
    assert plain.code == greedy.code == 0
    assert plain.grown_mib < 200 < 256 < greedy.grown_mib < 512


def take_a_quarter(_: Path) -> None:
    """Let the command fill 256 MiB."""
    assert len(b"x" * 2**28) == 2**28


def test_a_command_that_reaches_for_the_network_is_found(target: Target, tmp_path: Path) -> None:
    ended = target.zygote.run(Request(["list", "solvers"], str(tmp_path), before="tests.test_hostile:reach_out"))
    assert ended.code == 1
    assert "reached for the network: socket.getaddrinfo" in ended.err


def reach_out(_: Path) -> None:
    """Ask for an address."""
    import socket

    socket.getaddrinfo("localhost", 80)
