"""The processors that each of several processes on one machine works on: cores of its own.

Left to itself, the system moves a process from core to core and at times puts two on one, and all others wait for them at the
next exchange. Law: the processes of a machine get disjoint sets, as equal as can be, of the processors that all may use, and
those of one core stay together. Nothing is changed where that cannot be: on other systems than Linux, where the processes were
already given different processors, and where one would get fewer than it has threads.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

TOPOLOGY = Path("/sys/devices/system/cpu")


def allowed() -> list[int]:
    """Numbers of the processors that this process may use; empty where the system does not say."""
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []


def settle(masks: Sequence[Sequence[int]], local: int, threads: int) -> None:
    """Keep this process, and the threads that it begins from now on, to its share of the processors.

    Args:
        masks: what :func:`allowed` says in each process of this machine, in order of their numbers.
        local: number of this process among them.
        threads: how many threads it computes with, at least 1.
    """
    if any(mask != masks[local] for mask in masks):
        return
    found = shares(by_core(masks[local]), len(masks))
    if min(map(len, found)) >= threads:
        os.sched_setaffinity(0, found[local])


def shares(cores: Sequence[Sequence[int]], count: int) -> list[list[int]]:
    """The processors of each of ``count`` processes: cores are dealt in turn, quick ones and slow ones to all."""
    return [list(chain(*cores[number::count])) for number in range(count)]


def by_core(processors: Sequence[int], topology: Path = TOPOLOGY) -> list[list[int]]:
    """The processors, those of one core together and cores of one package beside each other."""
    found: dict[tuple[int, int], list[int]] = {}
    for processor in processors:
        found.setdefault(_place(processor, topology), []).append(processor)
    return [found[place] for place in sorted(found)]


def _place(processor: int, topology: Path) -> tuple[int, int]:
    """Package and core of a processor; one of its own where the system does not say."""
    folder = topology / f"cpu{processor}" / "topology"
    try:
        package, core = (int((folder / name).read_text()) for name in ("physical_package_id", "core_id"))
    except (OSError, ValueError):
        return sys.maxsize, processor
    return package, core
