"""Processors of several processes on one machine: disjoint, of whole cores, and only where nothing is lost by it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenscore import cores


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[int]]:
    """What processes were kept to, each processor being a core."""
    found: list[Sequence[int]] = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda who, mask: found.append(mask), raising=False)
    monkeypatch.setattr(cores, "by_core", lambda processors: [[p] for p in processors])
    return found


def machine(folder: Path, places: dict[int, tuple[int, int]]) -> Path:
    """A system that says of each processor its package and core."""
    for processor, (package, core) in places.items():
        topology = folder / f"cpu{processor}" / "topology"
        topology.mkdir(parents=True)
        (topology / "physical_package_id").write_text(f"{package}\n")
        (topology / "core_id").write_text(f"{core}\n")
    return folder


def test_processors_of_one_core_stay_together(tmp_path: Path) -> None:
    folder = machine(tmp_path, {i: (i % 4 // 2, i % 2) for i in range(8)})
    assert cores.by_core(range(8), folder) == [[0, 4], [1, 5], [2, 6], [3, 7]]
    assert cores.by_core([1, 4, 5, 7], folder) == [[4], [1, 5], [7]]


def test_a_system_that_says_nothing_has_cores_of_one_processor(tmp_path: Path) -> None:
    assert cores.by_core([3, 1, 2], tmp_path) == [[1], [2], [3]]
    folder = machine(tmp_path, {0: (0, 0), 1: (0, 0)})
    (folder / "cpu1" / "topology" / "core_id").write_text("none")
    assert cores.by_core([0, 1], folder) == [[0], [1]]


@given(st.integers(1, 40), st.integers(1, 8))
def test_shares_are_as_equal_as_can_be_and_cover_all_cores(count: int, processes: int) -> None:
    all_cores = [[i] for i in range(count)]
    shares = cores.shares(all_cores, processes)
    assert len(shares) == processes
    assert sorted(chain(*shares)) == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_each_process_is_kept_to_its_share(kept: list[Sequence[int]]) -> None:
    for local in range(3):
        cores.settle([[1, 2, 4, 5, 7, 8]] * 3, local, threads=2)
    assert kept == [[1, 5], [2, 7], [4, 8]]


@pytest.mark.parametrize(
    ("masks", "threads"),
    [
        pytest.param([[0, 1], [2, 3]], 1, id="each was given its own"),
        pytest.param([[0, 1, 2, 3, 4]] * 2, 3, id="more threads than the smallest share"),
        pytest.param([[0, 1]] * 3, 1, id="more processes than cores"),
        pytest.param([[]] * 2, 1, id="the system does not say"),
    ],
)
def test_nothing_is_changed_where_something_would_be_lost(
    kept: list[Sequence[int]], masks: list[list[int]], threads: int
) -> None:
    for local in range(len(masks)):
        cores.settle(masks, local, threads)
    assert kept == []
