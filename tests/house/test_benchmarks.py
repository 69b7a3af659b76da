"""The runner of benchmarks: one JSON object, an exit code that says whether the bound holds, a cheap list."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import runner

ROOT = Path(__file__).resolve().parents[2]
ERROR = """
SUMMARY = "Largest error of a rule."

def add_arguments(parser):
    parser.add_argument("--error", type=float, default=0.25)

def run(args):
    import torch
    from benchmarks.runner import Outcome
    print("measuring")
    values = {"error": torch.tensor(args.error), "by_class": {"a": 1, "b": float("nan")}}
    return Outcome(values, {"error": 0.5}, args.error <= 0.5)
"""
NEEDS_DATA = '''
"""A module that fails when it is imported for its summary."""
SUMMARY: str = """Balance of a folder.

More about it.
"""

def add_arguments(parser):
    pass

def run(args):
    from benchmarks.runner import Outcome, required_data
    return Outcome({"data": required_data(args)}, {}, True)
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two benchmarks and a helper that is none."""
    (tmp_path / "largest_error.py").write_text(ERROR)
    (tmp_path / "needs_data.py").write_text(NEEDS_DATA)
    (tmp_path / "helper.py").write_text("raise RuntimeError('imported')")
    return tmp_path


def test_the_list_has_one_line_each_and_imports_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "broken.py").write_text("SUMMARY = 'Cannot be imported.'\nraise RuntimeError")
    assert runner.main([], folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [
        ["broken", "Cannot be imported."],
        ["largest-error", "Largest error of a rule."],
        ["needs-data", "Balance of a folder."],
    ]
    assert runner.main(["--json"], folder) == 0
    assert json.loads(capsys.readouterr().out)["largest-error"] == "Largest error of a rule."


def test_json_is_the_only_thing_on_standard_output(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["largest-error", "--json"], folder) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert result["name"] == "largest-error"
    assert result["values"] == {"error": 0.25, "by_class": {"a": 1, "b": None}}
    assert result["bound"] == {"error": 0.5}
    assert result["holds"] is True
    assert set(result["machine"]) == {"cores", "torch", "threads"}
    assert "measuring" in err


def test_a_bound_that_does_not_hold_exits_with_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["largest-error", "--json", "--error", "0.75"], folder) == 1
    assert json.loads(capsys.readouterr().out)["holds"] is False


def test_the_table_shows_each_value_beside_its_bound(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["largest-error", "--error", "0.75"], folder) == 1
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if "error" in line and "0.75" in line]
    assert "0.5" in line
    assert "by_class.b" in out
    assert "DOES NOT HOLD" in out


def test_a_misspelt_name_gets_the_nearest_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["largest-eror"], folder) == 2
    assert "unknown benchmark 'largest-eror': did you mean 'largest-error'?" in capsys.readouterr().err
    assert runner.main(["helper"], folder) == 2


def test_missing_data_is_said_in_one_sentence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["needs-data"], folder) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "benchmarks: this benchmark measures on your data, and none was given: add --data PATH\n"
    assert runner.main(["needs-data", "--data", "x", "--json"], folder) == 0


def test_an_unknown_option_is_a_usage_error(folder: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        runner.main(["largest-error", "--eror", "1"], folder)
    assert caught.value.code == 2


def test_every_benchmark_of_the_project_keeps_the_contract() -> None:
    for name in runner.summaries():
        module = runner.load(name)
        assert callable(module.run)
        assert runner.parse(name, module, ["--json"]).json is True


def test_listing_does_not_import_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "benchmarks"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    names = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "evenscore" in names
    assert "torch" not in names
