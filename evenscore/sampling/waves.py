"""Batches that several processes make in waves: of every wave each process makes one batch, and all learn what came of each.

Law: batches are reported in their order, whoever made them; so what is done with the reports does not depend on the number of
processes. With one process a wave is one batch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from evenscore.ranks import Ranks

T = TypeVar("T")


class Made(NamedTuple):
    """What came of one batch.

    Attributes:
        facts: plain values.
        content: bytes.
    """

    facts: dict[str, Any]
    content: bytes


def waves(ranks: Ranks, mine: Iterator[T], make: Callable[[T], Made]) -> Iterator[list[Made]]:
    """Waves until no process has a batch left.

    Args:
        ranks: the processes.
        mine: this process's batches: every ``size``-th, beginning with the ``rank``-th.
        make: what comes of one.
    """
    while True:
        batch = next(mine, None)
        packed = b"" if batch is None else _packed(make(batch))
        wave = [_unpacked(content) for content in ranks.contents(packed) if content]
        if not wave:
            return
        yield wave


def _packed(made: Made) -> bytes:
    return json.dumps(made.facts).encode() + b"\n" + made.content


def _unpacked(content: bytes) -> Made:
    facts, _, rest = content.partition(b"\n")
    return Made(json.loads(facts), rest)
