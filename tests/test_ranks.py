"""Several processes that share a job: what they make is what one makes, and a failure of one is not waited for."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evenscore import Run, Sampler, TrainConfig, load, train
from evenscore.balancing import BalanceConfig, balance
from evenscore.checkpoint import load_checkpoint
from evenscore.cli import main
from evenscore.cores import allowed, by_core
from evenscore.data import Dataset
from evenscore.denoisers.preconditioned import Preconditioned
from evenscore.errors import DataError, EvenscoreError, UsageError
from evenscore.evaluation import Settings, evaluate, of_run
from evenscore.features import Cache
from evenscore.placement import part, whole
from evenscore.process import VP
from evenscore.ranks import ALONE, Elsewhere, Ranks, current, elsewhere, leave, require_alone
from evenscore.sampling.files import SampleJob, sample_files
from evenscore.sklearn.progress import threads
from evenscore.training.loop import Trainer
from evenscore.training.sharding import divide
from evenscore.training.shared import require_rows, require_shareable
from tests.judges import brief_judges

ROOT = Path(__file__).resolve().parents[1]
DATA = "digits:factor=50"
SETTINGS: dict[str, Any] = {
    "network": "tiny",
    "batch_size": 17,
    "previews": 0,
    "precision": "float32",
    "memory_format": "channels_last",
    "dropout": 0.0,
    "cooldown": 0.0,
}
OBJECTIVES: dict[str, dict[str, Any]] = {
    "mutual": {"objective": "mutual", "rows": 0.5, "augmentation": "crop-shift"},
    "worst-class": {"objective": "worst-class", "step": 0.5, "accumulate": 2},
    "divided": {"objective": "mutual", "rows": 0.1, "players": "trunk", "warmup": 0, "previews": 1, "shard": True},
}
WORK = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from evenscore.ranks import leave
from tests.test_ranks import everything
everything(Path(sys.argv[1]), int(sys.argv[2]))
leave()
"""


def config(name: str, steps: int) -> TrainConfig:
    return TrainConfig.from_mapping({**SETTINGS, **OBJECTIVES[name], "steps": steps, "checkpoint_every": 4})


def everything(out: Path, steps: int) -> None:
    """All shared work, into a folder."""
    data = load(DATA)
    for name in OBJECTIVES:
        if name == "divided":  # begun with a network that is whole
            list(train(data, out / name, replace(config(name, 2), shard=False)))
        list(train(data, out / name, config(name, steps)))
    divided(out, data)
    run = Run.open(out.parent / "given")
    sampler = Sampler("ddim", nfe=2)
    for form in ("png", "npz", "webdataset"):
        job = SampleJob((7,) * 10, sampler, format=form, batch_size=16, per_shard=20)
        list(sample_files(run, out / form, job))
    made = BalanceConfig(
        9, run.path, sampler=Sampler("ddim", nfe=2), batch_size=8, tries=1, format="webdataset", per_shard=20
    )
    with pytest.MonkeyPatch.context() as patch:
        brief_judges(patch)
        list(balance(data, out / "balanced", made))
    settings = Settings("pixels", ("frechet", "kernel", "copies"), replicates=10)
    found = evaluate(of_run(run, 25, sampler, 0), data, settings, cache=Cache(out / "cache"))
    rank = os.environ.get("RANK", "0")
    (out / f"figures-{rank}.json").write_text(json.dumps(found.measured.whole, default=vars))
    (out / f"pairs-{rank}.json").write_text(json.dumps(found.memorisation, default=vars))
    (out / f"cores-{rank}.json").write_text(json.dumps(allowed()))


def divided(out: Path, data: Dataset) -> None:
    """Take up a divided run: what this process holds of its network, and what comes of a full disk, into a file."""
    current().lead(lambda: shutil.copytree(out / "divided", out / "taken up"))
    trainer = Trainer(Run.open(out / "taken up"), data)
    modules = (trainer.model, trainer.average.module)
    held, numbers = (
        sum(size(p) for m in modules for p in m.parameters()) for size in (lambda p: part(p).numel(), Tensor.numel)
    )
    moments = [value for key, value in trainer.tensors().items() if "exp_avg" in key]
    found: dict[str, Any] = {"weights": held / numbers}
    found["moments"] = sum(part(m).numel() for m in moments) / sum(m.numel() for m in moments)
    kept = load_checkpoint(out / "taken up" / "checkpoints").tensors
    found["taken up"] = all(torch.equal(whole(value), kept[key]) for key, value in trainer.tensors().items())
    trainer.one_step()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evenscore.checkpoint.new_file", full_disk)
        with pytest.raises(EvenscoreError) as failed:
            trainer.save()
    found["full disk"] = type(failed.value).__name__
    (out / f"divided-{trainer.ranks.rank}.json").write_text(json.dumps(found))


def full_disk(path: Path) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def launch(arguments: list[str], folder: Path) -> subprocess.Popen[str]:
    """Start two processes with one thread each."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def files(root: Path) -> dict[str, bytes]:
    """The images, shards, archives and metadata below a folder."""
    kinds = (".png", ".tar", ".npz", ".jsonl", ".json")
    found = sorted(path for path in root.rglob("*") if path.suffix in kinds and not path.name.startswith("."))
    return {str(path.relative_to(root)): path.read_bytes() for path in found if ".evenscore" not in path.parts}


def tensors(run: Path) -> dict[str, torch.Tensor]:
    return dict(load_checkpoint(run / "checkpoints").tensors)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What one process makes, and what two do; the runs of two have half of the steps."""
    root = tmp_path_factory.mktemp("ranks")
    list(train(load(DATA), root / "given", TrainConfig.from_mapping({**SETTINGS, "steps": 20})))
    one, two = root / "one", root / "two"
    one.mkdir()
    two.mkdir()
    script = root / "work.py"
    script.write_text(WORK.format(root=str(ROOT)))
    process = launch([str(script), str(two), "4"], root)
    with threads(1):
        everything(one, 8)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err[-2000:]
    return one, two


@pytest.mark.parametrize("name", OBJECTIVES)
def test_training_goes_on_with_another_number_of_processes_to_the_losses_of_one(
    places: tuple[Path, Path], name: str
) -> None:
    one, two = (place / name for place in places)
    assert Run.open(two).records()[-1]["step"] == 4
    list(train(load(DATA), two, config(name, 8)))
    losses = [[r["loss"] for r in Run.open(run).records() if "loss" in r] for run in (one, two)]
    assert len(losses[0]) == 8
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    mine, theirs = tensors(one), tensors(two)
    assert mine.keys() == theirs.keys()
    assert ("memory.log_weights" in mine) == (name == "worst-class")
    for key, value in mine.items():
        torch.testing.assert_close(theirs[key], value, rtol=1e-3, atol=2e-5, msg=key)


def test_a_divided_network_is_held_in_parts_and_taken_up_whole(places: tuple[Path, Path]) -> None:
    alone, *both = (
        json.loads((places[i] / f"divided-{rank}.json").read_text()) for i, rank in ((0, 0), (1, 0), (1, 1))
    )
    assert alone == {"weights": 1.0, "moments": 1.0, "taken up": True, "full disk": "DataError"}
    for kind in ("weights", "moments"):
        assert sum(found[kind] for found in both) == pytest.approx(1)
        assert max(found[kind] for found in both) < 0.55
    assert all(found["taken up"] for found in both)
    assert [found["full disk"] for found in both] == ["DataError", "Elsewhere"]
    assert list((places[1] / "divided" / "previews").glob("*.png"))


def test_samples_and_balanced_sets_are_those_of_one_process(places: tuple[Path, Path]) -> None:
    for kind in ("png", "npz", "webdataset", "balanced"):
        one, two = (files(place / kind) for place in places)
        assert one == two, kind
        assert len(one) > 0
    assert len(files(places[0] / "png")) == 71


def test_every_process_finds_the_figures_of_one(places: tuple[Path, Path]) -> None:
    one, two = places
    for kind in ("figures", "pairs"):
        expected = (one / f"{kind}-0.json").read_text()
        assert [(two / f"{kind}-{rank}.json").read_text() for rank in (0, 1)] == [expected] * 2
        assert "value" in expected or "share" in expected


def test_processes_of_one_machine_work_on_cores_of_their_own(places: tuple[Path, Path]) -> None:
    alone, first, second = (
        json.loads((places[i] / f"cores-{rank}.json").read_text()) for i, rank in ((0, 0), (1, 0), (1, 1))
    )
    assert alone == allowed()
    assert set(first) | set(second) == set(alone)
    assert not set(first) & set(second) or len(by_core(alone)) < 2


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_signal_to_one_process_stops_both_with_a_checkpoint(tmp_path: Path) -> None:
    settings = [word for key, value in SETTINGS.items() if key != "network" for word in ("--set", f"{key}={value}")]
    arguments = ["train", DATA, "--out", "run", "--steps", "1000000", "--network", "tiny", *settings]
    writer = "import os,sys; open(f'pid-{os.environ[\"RANK\"]}', 'w').write(str(os.getpid())); "
    (tmp_path / "start.py").write_text(writer + "from evenscore.cli import main; main(sys.argv[1:])")
    process = launch(["start.py", *arguments], tmp_path)
    log = tmp_path / "run" / "metrics.jsonl"
    while process.poll() is None and not (log.is_file() and (tmp_path / "pid-1").is_file()):
        time.sleep(0.05)
    time.sleep(1)
    os.kill(int((tmp_path / "pid-1").read_text()), signal.SIGTERM)
    _, err = process.communicate(timeout=300)
    assert "the same command goes on from here" in err
    assert list((tmp_path / "run" / "checkpoints").glob("step-*.safetensors"))


def test_shares_are_as_equal_as_can_be_and_cover_all_rows() -> None:
    for n, size in ((7, 2), (8, 3), (2, 2), (1, 3)):
        rows = [list(range(n))[Ranks(rank, size).share(n)] for rank in range(size)]
        assert [i for part in rows for i in part] == list(range(n))
        assert max(map(len, rows)) - min(map(len, rows)) <= 1


def test_alone_nothing_is_exchanged() -> None:
    value = torch.ones(3)
    ALONE.add([value])
    ALONE.copy([value])
    assert value.tolist() == [1, 1, 1]
    assert ALONE.total(2.0, 3.0) == (2.0, 3.0)
    assert ALONE.contents(b"x") == [b"x"]
    assert ALONE.lead(lambda: 5) == 5
    assert ALONE.key == ()


def test_what_cannot_be_shared_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(
        Exception, match="batch_size=1 cannot be shared by 2 processes: give at least one sample for each"
    ):
        require_rows(1, Ranks(0, 2))
    coral = TrainConfig.from_mapping({"objective": "coral", "steps": 1}).objective
    require_shareable(coral, ALONE)
    with pytest.raises(UsageError, match="Coral looks inside the network, and 2 processes share only what it says"):
        require_shareable(coral, Ranks(0, 2))
    require_alone("evenscore compare")
    for key, value in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(SystemExit) as ended:
        main(["inspect", DATA])
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith(
        "evenscore (process 1): evenscore inspect works in one process, and 2 were started: leave torchrun"
    )
    assert isinstance(elsewhere(), Elsewhere)
    assert "another process of this job has failed or ended: see what it said" in str(elsewhere())


def test_what_holds_the_connections_is_gone_before_they_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Holder:
        def __init__(self) -> None:
            self.itself = self

    held, alive = weakref.ref(Holder()), []
    assert held() is not None
    monkeypatch.setattr("evenscore.ranks.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("evenscore.ranks.distributed.destroy_process_group", lambda: alive.append(held() is not None))
    leave()
    assert alive == [False]


def test_only_what_comes_of_a_lost_process_is_called_so() -> None:
    for given, expected in (("[gloo/pair.cc] Connection closed by peer", Elsewhere), ("shapes differ", RuntimeError)):
        with pytest.raises(expected), Ranks(0, 2).meeting():
            raise RuntimeError(given)
    with pytest.raises(RuntimeError), ALONE.meeting():
        raise RuntimeError("gloo")


def test_a_torch_that_cannot_divide_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("torch.distributed.fsdp.FSDPModule")
    with pytest.raises(DataError, match="shard=on needs a newer torch than .*: update torch, or set shard=off"):
        divide(Preconditioned(nn.Identity(), VP(), 2, (3,)), Ranks(0, 2), torch.device("cpu"))
