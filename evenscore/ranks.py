"""Several processes that share one job, as ``torchrun`` starts them; one process alone is the usual case.

Law: what the processes make together is what one would have made alone. A collective is entered by all or by none: where one
process fails, the others end with :class:`Elsewhere` and do not wait for ever. Only plain numbers, text and tensors travel.
"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from evenscore import cores
from evenscore.errors import EvenscoreError, UsageError

VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun tells every process."""
PATIENCE = timedelta(hours=12)
"""How long a process waits for another one that still lives: the first one may fit, judge or write meanwhile."""
BUCKET = 2**22
"""Entries that are added up at once."""
T = TypeVar("T")


class Elsewhere(EvenscoreError):
    """Another process of the job failed or ended, and said why (exit code 1)."""


def elsewhere() -> Elsewhere:
    """The error of the processes that did not fail themselves."""
    return Elsewhere(
        "another process of this job has failed or ended: see what it said, and give the same command again"
    )


@dataclass(frozen=True)
class Ranks:
    """The processes of a job, as one of them sees them.

    Attributes:
        rank: number of this process, 0 .. size - 1.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes what there is one of, and that speaks."""
        return self.rank == 0

    @property
    def key(self) -> tuple[int, ...]:
        """What sets this process apart where it must draw otherwise than the others; empty where it is alone."""
        return (self.rank,) if self.size > 1 else ()

    def share(self, n: int) -> slice:
        """This process's part of ``n`` rows: as equal as can be, in order of rank."""
        return slice(self.rank * n // self.size, (self.rank + 1) * n // self.size)

    def total(self, *values: float) -> tuple[float, ...]:
        """The sum of each value over the processes."""
        if self.size == 1:
            return values
        sums = torch.tensor(values, dtype=torch.float64)
        _meet(lambda: distributed.all_reduce(sums))
        return tuple(sums.tolist())

    def any(self, flag: bool) -> bool:
        """Whether it is true in any process."""
        return self.total(float(flag))[0] > 0

    def of_first(self, value: float) -> float:
        """What the first process gives."""
        return self.total(value if self.first else 0.0)[0] if self.size > 1 else value

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Make each tensor, in place, its sum over the processes; all have the same ones."""
        for bucket in _buckets(tensors) if self.size > 1 else ():
            _add(bucket)

    def copy(self, tensors: Sequence[Tensor]) -> None:
        """Make each tensor, in place, that of the first process."""
        for tensor in tensors if self.size > 1 else ():
            value = tensor.detach().contiguous()
            _meet(lambda value=value: distributed.broadcast(value, 0))  # type: ignore[misc]
            tensor.detach().copy_(value)

    def gather(self, rows: Tensor) -> list[Tensor]:
        """The rows (n, ...) of every process, in order of rank; n may differ, the rest may not."""
        if self.size == 1:
            return [rows]
        counts = [torch.zeros((), dtype=torch.int64) for _ in range(self.size)]
        _meet(lambda: distributed.all_gather(counts, torch.tensor(len(rows))))
        return self.gather_known(rows, [int(n) for n in counts])

    def gather_known(self, rows: Tensor, counts: Sequence[int]) -> list[Tensor]:
        """:meth:`gather` where the number of rows of each process is known."""
        most = max(counts)
        padded = rows.detach().new_zeros(most, *rows.shape[1:])
        padded[: len(rows)] = rows.detach()
        found = [torch.empty_like(padded) for _ in counts]
        _meet(lambda: distributed.all_gather(found, padded))
        return [part[:n] for part, n in zip(found, counts, strict=True)]

    def contents(self, mine: bytes) -> list[bytes]:
        """The bytes that every process gives, in order of rank."""
        if self.size == 1:
            return [mine]
        parts = self.gather(torch.frombuffer(bytearray(mine or b"\0"), dtype=torch.uint8))
        found = [part.numpy().tobytes() for part in parts]
        sizes = self.gather(torch.tensor([len(mine)]))
        return [content[: int(size)] for content, size in zip(found, sizes, strict=True)]

    def plain_of_first(self, value: Any) -> Any:
        """The plain value, of those that JSON knows, that the first process gives."""
        return json.loads(self.contents(json.dumps(value).encode() if self.first else b"")[0])

    def lead(self, work: Callable[[], T], meanwhile: Callable[[], None] = lambda: None) -> T | None:
        """Let the first process do ``work``; the others do what it needs of them ``meanwhile``, and wait.

        Returns:
            The result of the work; None in the others.

        Raises:
            Elsewhere: in the others, where the first one failed.
        """
        if self.size == 1:
            return work()
        try:
            found = None
            if self.first:
                found = work()
            else:
                meanwhile()
        except BaseException:
            self.any(True)
            raise
        if self.any(False):
            raise elsewhere()
        return found

    @contextmanager
    def meeting(self) -> Iterator[None]:
        """Work in which a library enters collectives.

        Raises:
            Elsewhere: another process is not there any more.
        """
        try:
            yield
        except RuntimeError as error:
            if self.size > 1 and (isinstance(error, distributed.DistError) or "gloo" in str(error)):
                raise elsewhere() from error
            raise


ALONE = Ranks()


def started() -> bool:
    """Whether this process was started as one of several."""
    return all(name in os.environ for name in VARIABLES) and os.environ["WORLD_SIZE"] not in ("", "0", "1")


def is_first() -> bool:
    """Whether this process is the one that speaks; nothing is set up for the answer."""
    return not started() or os.environ["RANK"] == "0"


def current() -> Ranks:
    """The processes of this job; they are connected at the first call."""
    if not started():
        return ALONE
    if not distributed.is_initialized():
        backend = "gloo"
        if torch.cuda.is_available():
            backend = "cpu:gloo,cuda:nccl"
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
        _meet(lambda: distributed.init_process_group(backend, timeout=PATIENCE))
        if backend == "gloo":
            _settle()
    return Ranks(distributed.get_rank(), distributed.get_world_size())


def _settle() -> None:
    """Give each process of this machine processors of its own, where torchrun says which processes those are."""
    ranks = current()
    masks = [json.loads(content) for content in ranks.contents(json.dumps(cores.allowed()).encode())]
    local, count = (int(os.environ.get(name, "0")) for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE"))
    if count > 1:
        first = ranks.rank - local
        cores.settle(masks[first : first + count], local, torch.get_num_threads())


def leave() -> None:
    """Close the connections, where there are any.

    What was divided holds them too, in cycles of references: as long as it lives, the process may be aborted at its very end.
    """
    if distributed.is_available() and distributed.is_initialized():
        gc.collect()
        distributed.destroy_process_group()


def require_alone(what: str) -> None:
    """Refuse to do in several processes what one does.

    Raises:
        UsageError: this process is one of several.
    """
    if started():
        size = os.environ["WORLD_SIZE"]
        raise UsageError(
            f"{what} works in one process, and {size} were started: leave torchrun out; train, sample, balance and evaluate "
            "share their work"
        )


def _meet(collective: Callable[[], object]) -> None:
    """Enter a collective.

    Raises:
        Elsewhere: another process is not there any more.
    """
    try:
        collective()
    except RuntimeError as error:
        raise elsewhere() from error


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """The tensors, in order, by groups of at least :data:`BUCKET` entries, but for the last group."""
    bucket: list[Tensor] = []
    entries = 0
    for tensor in tensors:
        bucket.append(tensor)
        entries += tensor.numel()
        if entries >= BUCKET:
            yield bucket
            bucket, entries = [], 0
    if bucket:
        yield bucket


def _add(bucket: Sequence[Tensor]) -> None:
    flat = torch.cat([tensor.detach().reshape(-1) for tensor in bucket])
    _meet(lambda: distributed.all_reduce(flat))
    for tensor, part in zip(bucket, torch.split(flat, [t.numel() for t in bucket]), strict=True):
        tensor.detach().copy_(part.view(tensor.shape))
