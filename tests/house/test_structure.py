"""Size and manners of the code: short functions, short files, docstrings, nothing unfinished, tests that can fail."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("evenscore", "benchmarks", "tests", "examples")
CODE = sorted([ROOT / "dev.py", *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))])
PACKAGE = [path for path in CODE if path.is_relative_to(ROOT / "evenscore")]
TESTS = [path for path in CODE if path.name.startswith("test_")]
PROSE = sorted([*ROOT.glob("*.md"), *ROOT.glob("*.toml"), *ROOT.glob("*.cff"), *(ROOT / "docs").rglob("*.md")])
TEXT = [path for path in [*CODE, *PROSE, ROOT / ".ci" / "run"] if path != Path(__file__).resolve()]
LONGEST_FUNCTION, LONGEST_FILE = 60, 400
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b|raise NotImplementedError")
MACHINE = re.compile(r"(?<![\w.])/(work|root|home|Users|farm|tmp)/\w|--(extra-)?index-url|--find-links")
ASSERTING = re.compile(r"^(raises|warns|fail|check_\w+|assert\w+)$")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def can_fail(function: Function) -> bool:
    """Whether a test holds something: an assert, or a call such as pytest.raises, check_objective or assert_close."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            called = getattr(node.func, "attr", None) or getattr(node.func, "id", "")
            if ASSERTING.match(called):
                return True
    return False


def undocumented(tree: ast.Module) -> list[str]:
    """Public functions and classes of a module, and the module itself, that have no docstring."""
    public = [n for n in tree.body if isinstance(n, Function | ast.ClassDef) and not n.name.startswith("_")]
    missing = [node.name for node in public if not ast.get_docstring(node)]
    return missing + (["the module"] if tree.body and not ast.get_docstring(tree) else [])


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_files_and_functions_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE
    lengths = {node.name: (node.end_lineno or node.lineno) - node.lineno + 1 for node in functions(tree_of(path))}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


@pytest.mark.parametrize("path", PACKAGE, ids=name_of)
def test_what_is_public_is_documented(path: Path) -> None:
    assert undocumented(tree_of(path)) == []


@pytest.mark.parametrize("path", TEXT, ids=name_of)
def test_nothing_is_unfinished_or_tied_to_a_machine(path: Path) -> None:
    lines = list(enumerate(path.read_text(encoding="utf-8").splitlines(), start=1))
    assert [f"{number}: {line}" for number, line in lines if UNFINISHED.search(line)] == []
    assert [f"{number}: {line}" for number, line in lines if MACHINE.search(line)] == []


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_every_test_can_fail(path: Path) -> None:
    tests = [function for function in functions(tree_of(path)) if function.name.startswith("test_")]
    assert tests, "a test file without a test"
    assert [function.name for function in tests if not can_fail(function)] == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("assert x", True),
        ("with pytest.raises(ValueError): f()", True),
        ("torch.testing.assert_close(a, b)", True),
        ("check_solver(Heun())", True),
        ("f()", False),
        ("check = f()", False),
    ],
)
def test_the_rule_for_tests_itself(body: str, expected: bool) -> None:
    (function,) = functions(ast.parse(f"def test_it():\n    {body}"))
    assert can_fail(function) is expected


@pytest.mark.parametrize("line", ["see /home/a/x", "pip install --index-url there", "# TODO later", 'open("/tmp/a")'])
def test_the_rule_for_text_itself(line: str) -> None:
    assert UNFINISHED.search(line) or MACHINE.search(line)


def test_the_package_says_that_it_is_typed_and_the_wheel_holds_only_it() -> None:
    assert (ROOT / "evenscore" / "py.typed").is_file()
    assert 'packages = ["evenscore"]' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
