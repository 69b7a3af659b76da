"""A safetensors file made in pieces is the file that the library makes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import safetensors.torch
import torch
from torch import Tensor

from evenscore import pieces as module
from evenscore.pieces import KINDS, exhaust, pieces
from evenscore.placement import Relayed, part, placed, whole
from evenscore.ranks import ALONE

TEXT = {"state": json.dumps({"step": 3, "words": 'a "quoted" line\n and \\ more'})}


def tensors() -> dict[str, Tensor]:
    """Every kind of number, with names whose order is not theirs; a number, nothing, and a layout that is not plain."""
    random = torch.Generator().manual_seed(0)
    found = {
        f"{name}.{i}": (9 * torch.randn(3, i, generator=random)).to(kind)
        for kind, name in KINDS.items()
        for i in (1, 4)
    }
    image = torch.randn(2, 3, 4, 5, generator=random).to(memory_format=torch.channels_last)
    return {"z": torch.tensor(3.5), "none": torch.zeros(0, 7), "image": image, "columns": torch.randn(4, 6).T, **found}


@pytest.mark.parametrize("given", [tensors(), {}, {"one": torch.arange(5)}], ids=["all kinds", "none", "one"])
def test_the_bytes_are_those_of_the_library(given: dict[str, Tensor]) -> None:
    plain = {name: value.contiguous() for name, value in given.items()}
    assert b"".join(pieces(given, TEXT)) == safetensors.torch.save(plain, metadata=TEXT)


def test_pieces_are_neither_many_nor_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST", 1000)
    given = {f"{i:03}": torch.full((50,), float(i)) for i in range(40)}
    found = [len(piece) for piece in pieces(given, TEXT)]
    assert sum(found) == len(safetensors.torch.save(given, metadata=TEXT))
    assert len(found) > 4
    assert all(1000 <= size < 4000 for size in found[:-1])


def test_a_tensor_is_looked_at_when_its_turn_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is put together costs memory: it must not be put together before."""
    seen: list[float] = []

    def spy(value: Tensor) -> Tensor:
        seen.append(float(value[0]))
        return value

    monkeypatch.setattr(module, "whole", spy)
    monkeypatch.setattr(module, "LEAST", 1)
    content: Iterator[bytes] = pieces({f"{i}": torch.full((50,), float(i)) for i in range(4)}, {})
    next(content)
    assert seen == []
    next(content)
    assert seen == [0.0]
    exhaust(content)
    assert seen == [0.0, 1.0, 2.0, 3.0]


def test_a_tensor_of_one_process_is_whole() -> None:
    value = torch.arange(6.0)
    assert part(value) is whole(value) is placed(value, torch.zeros(6)) is placed(value, None) is value
    relayed = Relayed({"a": value, "b": torch.tensor(True)}, ALONE)
    assert list(relayed) == ["a", "b"]
    assert len(relayed) == 2
    assert torch.equal(relayed["a"], value)
    with pytest.raises(KeyError):
        relayed["c"]
