"""Lists and runs benchmarks: a benchmark measures values, states a bound, and says whether the bound holds.

Law: standard output carries the result and nothing else (one JSON object with ``--json``, else a table); whatever a
benchmark prints while it runs goes to standard error. Exit codes: 0 the bound holds, 1 it does not, 2 the request is
wrong, 3 data or environment, 130 interrupted. Listing reads the modules' text and imports none of them.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib.util
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from evenscore.errors import EvenscoreError, UsageError, unknown

FOLDER = Path(__file__).resolve().parent
INTERRUPTED = 130


@dataclass(frozen=True)
class Outcome:
    """What a benchmark found: measured values, the bound that they are held against, and whether it holds.

    Keys of ``values`` and ``bound`` may nest; a bound that has the key of a value is shown beside it.
    """

    values: Mapping[str, Any]
    bound: Mapping[str, Any]
    holds: bool


def required_data(args: argparse.Namespace) -> str:
    """The value of ``--data``, for a benchmark that cannot do without.

    Raises:
        UsageError: ``--data`` was not given.
    """
    if not args.data:
        raise UsageError("this benchmark measures on your data, and none was given: add --data PATH")
    return str(args.data)


def summaries(folder: Path = FOLDER) -> dict[str, str]:
    """Name and first line of the summary of every benchmark in ``folder``."""
    found = {path.stem.replace("_", "-"): summary_of(path) for path in sorted(folder.glob("*.py"))}
    return {name: summary.strip().splitlines()[0] for name, summary in found.items() if summary}


def summary_of(path: Path) -> str | None:
    """The text that a module assigns to ``SUMMARY``, or None when it is no benchmark."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == "SUMMARY" for target in targets):
                return str(ast.literal_eval(node.value))
    return None


def load(name: str, folder: Path = FOLDER) -> ModuleType:
    """Import the benchmark ``name``.

    Raises:
        UsageError: there is none of this name.
    """
    names = summaries(folder)
    if name not in names:
        raise unknown("benchmark", name, names)
    stem = name.replace("-", "_")
    spec = importlib.util.spec_from_file_location(f"benchmarks.{stem}", folder / f"{stem}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def parse(name: str, module: ModuleType, argv: Sequence[str]) -> argparse.Namespace:
    """The options of one benchmark: ``--data`` and ``--json``, which all have, and its own."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks {name}", description=module.SUMMARY)
    parser.add_argument("--data", metavar="PATH", help="the data to measure on")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    module.add_arguments(parser)
    return parser.parse_args(argv)


def machine() -> dict[str, Any]:
    """Where the values were measured: usable cores, version of torch, threads that torch uses."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cores": cores, "torch": str(torch.__version__), "threads": torch.get_num_threads()}


def plain(value: Any) -> Any:
    """``value`` in terms of JSON: arrays become lists, keys text, and numbers that are not finite null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings, keys joined by dots."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def show(result: Mapping[str, Any]) -> None:
    """Print a result as a table: every value beside its bound."""
    from rich.console import Console
    from rich.table import Table

    values, bound = dict(flat(result["values"])), dict(flat(result["bound"]))
    table = Table("quantity", "value", "bound", title=str(result["name"]))
    for key in [*values, *(key for key in bound if key not in values)]:
        table.add_row(key, text_of(values.get(key, "")), text_of(bound.get(key, "")))
    console = Console(markup=False, width=None if sys.stdout.isatty() else 160)
    console.print(table)
    where = ", ".join(f"{key} {value}" for key, value in result["machine"].items())
    console.print(f"{'holds' if result['holds'] else 'DOES NOT HOLD'} ({where})")


def text_of(value: Any) -> str:
    """A cell of the table."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def run_one(name: str, argv: Sequence[str], folder: Path) -> int:
    """Run one benchmark and print its result; the exit code says whether its bound holds."""
    module = load(name, folder)
    args = parse(name, module, argv)
    with contextlib.redirect_stdout(sys.stderr):
        outcome: Outcome = module.run(args)
    holds = bool(outcome.holds)
    found = {"values": outcome.values, "bound": outcome.bound, "holds": holds, "machine": machine()}
    result = {"name": name, **plain(found)}
    if args.json:
        print(json.dumps(result, allow_nan=False))
    else:
        show(result)
    return 0 if holds else 1


def show_list(argv: Sequence[str], folder: Path) -> int:
    """Print the names with their summaries."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", usage="python -m benchmarks [NAME [OPTIONS]] [--json]"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, name to summary")
    names = summaries(folder)
    if parser.parse_args(argv).json:
        print(json.dumps(names))
    else:
        width = max(map(len, names), default=0)
        for name, summary in names.items():
            print(f"{name:<{width}}  {summary}")
    return 0


def main(argv: Sequence[str], folder: Path = FOLDER) -> int:
    """List the benchmarks, or run the one that the first word names."""
    try:
        if not argv or argv[0].startswith("-"):
            return show_list(argv, folder)
        return run_one(argv[0], argv[1:], folder)
    except EvenscoreError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("benchmarks: interrupted", file=sys.stderr)
        return INTERRUPTED
