"""dev.py decides what to install and when nothing is to be installed; nothing is installed here."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import dev
from dev import CPU_TORCH, Machine, SetupError, Stamp, TorchChoice, choose_torch

ROOT = Path(__file__).resolve().parents[2]


class Recorder:
    """Stands for the programs that dev.py starts: records them and answers with chosen exit codes."""

    def __init__(self, refuse: Sequence[str] = (), torch: str = "2.13.0+cpu") -> None:
        self.refuse, self.torch, self.commands = refuse, torch, list[list[str]]()

    def run(self, command: Sequence[str | Path], env: object = None) -> int:
        words = [str(word) for word in command]
        self.commands.append(words)
        return 1 if any(word in self.refuse for word in words) else 0

    def installed(self) -> list[str]:
        """What pip was asked for, without its options."""
        return [words[-1] for words in self.commands if "install" in words and "--editable" not in words]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """An empty folder in which dev.py may set up, with every program replaced."""
    recorder, venv = Recorder(), tmp_path / ".venv"
    venv.mkdir()
    monkeypatch.delenv("EVENSCORE_TORCH", raising=False)
    for name, value in {"VENV": venv, "STAMP": venv / "stamp.json", "CONSTRAINT": venv / "constraint.txt"}.items():
        monkeypatch.setattr(dev, name, value)
    monkeypatch.setattr(dev, "run", recorder.run)
    monkeypatch.setattr(dev, "healthy", lambda: True)
    monkeypatch.setattr(dev, "has_device", lambda: False)
    monkeypatch.setattr(dev, "torch_version", lambda python: recorder.torch)
    monkeypatch.setattr(dev, "read_stamp", lambda: dev_read_stamp(venv / "stamp.json"))
    return recorder


dev_read_stamp = dev.read_stamp


@pytest.mark.parametrize(
    ("older", "newer"),
    [("2.4.1", "2.5"), ("2.5.0a0+git1", "2.5.0"), ("2.9.0", "2.10.0+cpu"), ("2.5.0rc1", "2.5"), ("1.13", "2.0.dev1")],
)
def test_versions_compare_in_order(older: str, newer: str) -> None:
    assert dev.version_key(older) < dev.version_key(newer)


def test_a_local_part_does_not_change_a_version() -> None:
    assert dev.version_key("2.13.0+cpu") == dev.version_key("2.13")
    with pytest.raises(ValueError, match="not a version"):
        dev.version_key("nightly")


@pytest.mark.parametrize(
    ("request_", "machine", "expected"),
    [
        ("auto", Machine(device=False), TorchChoice(CPU_TORCH)),
        ("auto", Machine(device=True), TorchChoice(("torch>=2.5",))),
        ("torch==2.6.0", Machine(), TorchChoice(("torch==2.6.0",))),
        ("installed", Machine(venv_torch="2.7.0"), TorchChoice()),
        ("installed", Machine(own_torch="2.5.0+cu124"), TorchChoice(inherit=True)),
        ("installed", Machine(venv_torch="2.1.0", own_torch="2.6.0"), TorchChoice(inherit=True)),
    ],
)
def test_torch_is_chosen_from_the_request_and_the_machine(
    request_: str, machine: Machine, expected: TorchChoice
) -> None:
    assert choose_torch(request_, machine) == expected


@pytest.mark.parametrize(
    ("request_", "machine", "code", "words"),
    [
        ("installed", Machine(), 3, "has no torch"),
        ("installed", Machine(own_torch="2.4.1"), 3, "torch 2.4.1 is older than 2.5"),
        ("torchvision", Machine(), 2, "'torchvision' is not understood"),
        ("latest", Machine(), 2, "give auto, installed, or a requirement"),
    ],
)
def test_a_torch_that_cannot_be_had_is_said_in_one_sentence(
    request_: str, machine: Machine, code: int, words: str
) -> None:
    with pytest.raises(SetupError, match=words) as caught:
        choose_torch(request_, machine)
    assert caught.value.code == code


def test_the_option_comes_before_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENSCORE_TORCH", "installed")
    assert dev.torch_request(None) == "installed"
    assert dev.torch_request("torch==2.6.0") == "torch==2.6.0"
    monkeypatch.delenv("EVENSCORE_TORCH")
    assert dev.torch_request(None) == "auto"


def test_a_stamp_with_more_extras_covers_fewer() -> None:
    stamp = Stamp("a", frozenset({"dev"}))
    assert stamp.covers("a", [])
    assert stamp.covers("a", ["dev"])
    assert not Stamp("a").covers("a", ["dev"])
    assert not stamp.covers("b", [])


def test_a_stamp_is_read_as_written_and_a_damaged_one_covers_nothing(tmp_path: Path) -> None:
    path = tmp_path / "stamp.json"
    assert dev.read_stamp(path) == Stamp("")
    stamp = Stamp("a", frozenset({"dev"}))
    stamp.write(path)
    assert dev.read_stamp(path) == stamp
    for damaged in (path.read_text()[:-4], "[]", json.dumps({"fingerprint": "a"}), json.dumps({"extras": []})):
        path.write_text(damaged)
        assert not dev.read_stamp(path).covers("a", [])


def test_the_fingerprint_follows_the_project_file_and_the_torch(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("one")
    prints = [dev.fingerprint(TorchChoice(CPU_TORCH), root=tmp_path)]
    prints.append(dev.fingerprint(TorchChoice(("torch>=2.5",)), root=tmp_path))
    prints.append(dev.fingerprint(TorchChoice(), "2.6.0", root=tmp_path))
    prints.append(dev.fingerprint(TorchChoice(), "2.7.0", root=tmp_path))
    assert dev.fingerprint(TorchChoice(CPU_TORCH), root=tmp_path) == prints[0]
    (tmp_path / "pyproject.toml").write_text("two")
    prints.append(dev.fingerprint(TorchChoice(CPU_TORCH), root=tmp_path))
    assert len(set(prints)) == len(prints)


def test_setup_pins_the_torch_that_it_installed_and_then_rests(house: Recorder) -> None:
    dev.setup(["dev"], None)
    assert house.installed() == ["torch==2.13.0+cpu"]
    assert dev.CONSTRAINT.read_text() == "torch==2.13.0+cpu\n"
    assert house.commands[-1][-4:] == ["--editable", ".[dev]", "--constraint", str(dev.CONSTRAINT)]
    house.commands.clear()
    dev.setup(["dev"], None)
    dev.setup([], None)
    assert house.commands == []
    dev.setup([], "torch==2.6.0")
    assert house.installed() == ["torch==2.6.0"]


def test_setup_falls_back_when_there_is_no_cpu_build(house: Recorder) -> None:
    house.refuse = [CPU_TORCH[0]]
    dev.setup([], None)
    assert house.installed() == list(CPU_TORCH)


@pytest.mark.parametrize("refused", [CPU_TORCH, ["--editable"]], ids=["torch", "project"])
def test_an_installation_that_failed_leaves_no_stamp(house: Recorder, refused: Sequence[str]) -> None:
    dev.setup([], None)
    house.refuse = refused
    with pytest.raises(SetupError, match="could not be installed: check the network") as caught:
        dev.setup(["dev"], None)
    assert caught.value.code == 3
    assert not dev.STAMP.exists()


def test_an_installed_torch_is_kept_and_watched(house: Recorder) -> None:
    house.torch = "2.6.0"
    dev.setup([], "installed")
    assert house.installed() == []
    assert dev.CONSTRAINT.read_text() == "torch==2.6.0\n"
    house.commands.clear()
    dev.setup([], "installed")
    assert house.commands == []
    house.torch = "2.7.0"
    dev.setup([], "installed")
    assert dev.CONSTRAINT.read_text() == "torch==2.7.0\n"


def test_a_broken_environment_is_made_anew(house: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    dev.setup([], None)
    house.commands.clear()
    monkeypatch.setattr(dev, "healthy", lambda: False)
    dev.setup([], None)
    assert house.commands[0][1:] == ["-m", "venv", "--clear", str(dev.VENV)]
    assert house.installed() == ["torch==2.13.0+cpu"]


def test_an_interpreter_that_does_not_start_is_not_healthy(tmp_path: Path) -> None:
    assert not dev.healthy(tmp_path)
    python = dev.venv_python(tmp_path)
    python.parent.mkdir(parents=True)
    python.write_text("not a program")
    assert not dev.healthy(tmp_path)


def test_the_interpreter_has_its_place_on_every_system() -> None:
    assert dev.venv_python(Path("v"), "posix") == Path("v/bin/python")
    assert dev.venv_python(Path("v"), "nt") == Path("v/Scripts/python.exe")


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["demo", "--out", "x"], ("demo", ["--out", "x"], None)),
        (["test", "-k", "a b", "-x", "--torch", "installed"], ("test", ["-k", "a b", "-x"], "installed")),
        (["--torch=torch==2.6.0", "bench", "resume", "--json"], ("bench", ["resume", "--json"], "torch==2.6.0")),
        (["demo", "--help"], ("demo", ["--help"], None)),
        (["test", "--", "--torch", "x"], ("test", ["--torch", "x"], None)),
    ],
)
def test_words_go_on_to_the_command(argv: list[str], expected: tuple[str, list[str], str | None]) -> None:
    assert dev.parse(argv) == expected


def test_help_teaches_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        dev.main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert all(word in text for word in [*dev.EXTRAS, "EVENSCORE_TORCH", "python3 dev.py demo"])


def test_test_runs_the_checks_in_order_and_stops_at_the_first_failure(house: Recorder) -> None:
    assert dev.main(["test", "-k", "laws"]) == 0
    programs = [words[2:] for words in house.commands if words[2] != "pip"]
    checks = [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]]
    assert programs == [*checks, ["pytest", "-n", "2", "--dist", "worksteal", "-k", "laws"]]
    house.commands.clear()
    house.refuse = ["mypy"]
    assert dev.main(["test"]) == 1
    assert [words[2] for words in house.commands] == ["ruff", "ruff", "mypy"]


def test_demo_needs_no_development_tools(house: Recorder) -> None:
    assert dev.main(["demo", "--out", "x"]) == 0
    assert house.commands[-2][-4:-2] == ["--editable", "."]
    assert house.commands[-1][1:] == ["-m", "evenscore", "demo", "--out", "x"]


def test_an_old_python_is_refused() -> None:
    with pytest.raises(SetupError, match=r"this is Python 3\.10, but 3\.11 or newer is needed") as caught:
        dev.check_python((3, 10))
    assert caught.value.code == 3
    dev.check_python((3, 11))


def test_run_prints_the_command_and_returns_its_exit_code(capfd: pytest.CaptureFixture[str]) -> None:
    assert dev.run([sys.executable, "-c", "import os, sys; sys.exit(int(os.environ['CODE']))"], {"CODE": "7"}) == 7
    assert capfd.readouterr().out.startswith(f"$ {Path(sys.executable).name} -c import os")


def test_ctrl_c_leaves_the_program_time_to_end(tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    program = (
        "import os, pathlib, signal, sys, time\n"
        "try:\n"
        "    os.kill(os.getppid(), signal.SIGINT); os.kill(os.getpid(), signal.SIGINT); time.sleep(30)\n"
        "except KeyboardInterrupt:\n"
        f"    time.sleep(0.5); pathlib.Path({str(saved)!r}).touch(); sys.exit(130)\n"
    )
    assert dev.run([sys.executable, "-c", program]) == 130
    assert saved.exists()


def test_continuous_integration_runs_the_same_command() -> None:
    script = ROOT / ".ci" / "run"
    assert "exec python3 dev.py test" in script.read_text(encoding="utf-8")
    assert script.stat().st_mode & 0o111
