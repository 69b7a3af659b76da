"""A safetensors file in pieces: it is never in memory as a whole, nor are tensors that are divided among processes.

Law: the bytes are those that ``safetensors.torch.save`` gives. Every process of a job that divides its tensors takes all
pieces, because each tensor is put together as its turn comes; one of them writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor

from evenscore.placement import whole

KINDS = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int32: "I32",
    torch.float32: "F32",
    torch.float64: "F64",
    torch.int64: "I64",
}
"""Kinds of numbers, narrow ones first, as the format orders them."""
LEAST = 2**24
"""Bytes of a piece, at least, but for the last."""


def pieces(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Iterator[bytes]:
    """The bytes of a file that holds these tensors and this text.

    Args:
        tensors: of any device and layout.
        metadata: text by name.
    """
    return _joined(_parts(tensors, metadata))


def exhaust(content: Iterable[bytes]) -> None:
    """Take what is left of the pieces, for the other processes' sake."""
    for _ in content:
        pass


def _parts(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Iterator[bytes]:
    kinds = list(KINDS)
    names = sorted(tensors, key=lambda name: (-kinds.index(tensors[name].dtype), name))
    yield _header({name: tensors[name] for name in names}, metadata)
    for name in names:
        value = whole(tensors[name]).detach().cpu().contiguous()
        yield value.reshape(-1).view(torch.uint8).numpy().tobytes()


def _header(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Length and table of contents, padded to whole words."""
    table: dict[str, object] = {"__metadata__": dict(metadata)}
    at = 0
    for name, value in tensors.items():
        end = at + value.numel() * value.element_size()
        table[name] = {"dtype": KINDS[value.dtype], "shape": list(value.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _joined(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of at least :data:`LEAST`."""
    held = bytearray()
    for part in parts:
        held += part
        if len(held) >= LEAST:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)
