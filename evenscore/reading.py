"""Reading files that may come from strangers: regular ones only, bounded in size, parsed into plain values only.

Law: whatever a path leads to and whatever a text says, reading ends, in time and memory proportional to the bytes that are
there; nothing is run; and no key stands twice, because which one is meant would be a guess.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from functools import cache
from io import BufferedReader
from pathlib import Path
from typing import Any

TEXT = 4 * 2**20
"""Bytes of a file of settings, at most: YAML is read slowly."""
STATE = 256 * 2**20
"""Bytes of a file of JSON that keeps the state of a job, at most."""
LONGEST_NUMBER = 400
"""Characters of a number in YAML, at most: every float fits, and reading a longer one takes time that grows faster than it."""


def open_regular(path: str | Path) -> BufferedReader:
    """Open a file for reading, unless it is a pipe, a socket, a device or a folder; never waits for anybody.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise _irregular() if error.errno == errno.ENXIO else error from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _irregular()
    return os.fdopen(descriptor, "rb")


def read_bytes(path: str | Path, most: int | None = None) -> bytes:
    """The content of a regular file of at most ``most`` bytes.

    Raises:
        OSError: it cannot be read, is no regular file, or is larger.
    """
    with open_regular(path) as file:
        if most is not None and os.fstat(file.fileno()).st_size > most:
            raise OSError(errno.EFBIG, f"larger than {most} bytes")
        return file.read(-1 if most is None else most)


def read_text(path: str | Path, most: int = TEXT) -> str:
    """The UTF-8 text of a regular file of at most ``most`` bytes.

    Raises:
        OSError: it cannot be read, is no regular file, or is larger.
        ValueError: it is not UTF-8.
    """
    return read_bytes(path, most).decode("utf-8-sig")


def parse_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none, nests too deep, or an object has a key twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("it nests too deep") from None


def parse_yaml(text: str) -> Any:
    """The value of a YAML text of plain values, without anchors: an alias would let a few lines stand for any number.

    Raises:
        ValueError: it is none, nests too deep, has tags or aliases, or a mapping has a key twice.
    """
    import yaml

    try:
        return yaml.load(text, _loader())
    except RecursionError:
        raise ValueError("it nests too deep") from None
    except Exception as error:  # the parser raises almost anything on what no person would write
        where = getattr(error, "problem_mark", None)
        reason = str(getattr(error, "problem", None) or type(error).__name__)
        raise ValueError(f"{reason[:200]} in line {where.line + 1}" if where else reason[:200]) from None


def _irregular() -> OSError:
    return OSError(errno.EINVAL, "it is no regular file")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"the key {_repeated([key for key, _ in pairs])!r} stands twice")
    return found


def _repeated(keys: list[str]) -> str:
    seen: set[str] = set()
    return next(key[:100] for key in keys if key in seen or seen.add(key))  # type: ignore[func-returns-value]


@cache
def _loader() -> Any:
    """The loader of plain values."""
    import yaml
    from yaml.constructor import ConstructorError

    class Plain(yaml.SafeLoader):
        """Safe values without aliases, keys that stand twice, or numbers that take long to read."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
                raise ConstructorError(None, None, "aliases are not read: write the value out", mark)
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            if len(set(keys)) < len(keys):
                problem = f"the key {_repeated(keys)!r} stands twice"
                raise ConstructorError(None, None, problem, node.start_mark)
            found: dict[Any, Any] = super().construct_mapping(node, deep)
            return found

        def construct_number(self, node: Any) -> Any:
            if len(node.value) > LONGEST_NUMBER:
                raise ConstructorError(None, None, f"a number of {len(node.value)} characters", node.start_mark)
            kind = node.tag.rpartition(":")[2]
            return self.construct_yaml_int(node) if kind == "int" else self.construct_yaml_float(node)

    for kind in ("int", "float"):
        Plain.add_constructor(f"tag:yaml.org,2002:{kind}", Plain.construct_number)
    return Plain
