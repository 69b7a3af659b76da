"""Balance: from an unequal data set to a balanced folder, in one call.

Inspect, plan what each class lacks, train a run (or use one), sample, let the gate refuse near-copies and samples of
another class, draw again until the plan is met or its tries are used up, write the folder, and say on a page how it went.

Law: the folder holds exactly the planned number of each class, or the page and the returned result say which class falls
short and why; real images are never changed; the same command given again after an interruption goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from evenscore.balancing.collect import Collector
from evenscore.balancing.gate import Gate, GateSettings, check_shape
from evenscore.balancing.plan import ClassPlan, Target, make_plan
from evenscore.balancing.real import write_real
from evenscore.balancing.state import State
from evenscore.balancing.summary import SUMMARY, write_summary
from evenscore.checkpoint import make_folder, pointed
from evenscore.configuration import TrainConfig
from evenscore.confined import inside
from evenscore.data import Dataset
from evenscore.errors import UsageError
from evenscore.lock import hold
from evenscore.ranks import current
from evenscore.records import check, check_name
from evenscore.run import Run
from evenscore.sampling import DEFAULT, Sampler
from evenscore.shards import PER_SHARD, open_store
from evenscore.training import Progress, train
from evenscore.writing import check_output, check_outside

HIDDEN = ".evenscore"
FORMATS = ("png", "webdataset")
SAMPLER = DEFAULT.at(2.0)
"""Guided less than elsewhere: stronger guidance makes more near-copies of the few images of a small class."""


@dataclass(frozen=True)
class BalanceConfig:
    """What to make.

    Attributes:
        target: ``"uniform"``, one number for all classes, or one for each.
        run: a trained run to use; None trains one inside the output folder.
        train: what to train when no run is given.
        sampler: how to sample.
        gate: how strict to be.
        tries: candidates drawn for each sample that is wanted, at most.
        batch_size: samples computed together.
        seed: of the sampling.
        format: ``png``, a file for each image in a folder for each class, or ``webdataset``, shards.
        per_shard: images of a shard, at least.

    Raises:
        UsageError: an unknown format, or shards of no image.
    """

    target: Target = "uniform"
    run: Path | str | None = None
    train: TrainConfig = field(default_factory=lambda: TrainConfig(minutes=10))
    sampler: Sampler = SAMPLER
    gate: GateSettings = field(default_factory=GateSettings)
    tries: int = 8
    batch_size: int = 100
    seed: int = 0
    format: str = "png"
    per_shard: int = PER_SHARD

    def __post_init__(self) -> None:
        check_name("format", self.format, FORMATS)
        check("per_shard", self.per_shard, self.per_shard >= 1, "at least 1")


@dataclass(frozen=True)
class Stage:
    """A step of the work, for people.

    Attributes:
        name: ``plan``, ``train``, ``gate``, ``sample``, ``write``, ``stopped`` or ``done``.
        text: what happens, in words.
        fraction: share of this stage that is done.
        training: the progress of training, in stage ``train``.
    """

    name: str
    text: str
    fraction: float = 0.0
    training: Progress | None = None


@dataclass(frozen=True)
class ClassResult:
    """How one class came out: its plan, and what was made and refused."""

    plan: ClassPlan
    made: int
    candidates: int
    copies: int
    mislabelled: int

    @property
    def met(self) -> bool:
        return self.made == self.plan.make


def balance(
    data: Dataset, out: Path | str, config: BalanceConfig, stop: Callable[[], bool] = lambda: False
) -> Iterator[Stage]:
    """Make a balanced folder; iterate to the end to have it made.

    Args:
        data: the unequal image data.
        out: the folder to write, which must not hold anything but an interrupted job of the same kind.
        config: what to make.
        stop: asked between steps; when true, the work stops in a state from which the same call goes on.

    Raises:
        UsageError: vectors instead of images, or a target that does not fit.
        DataError: the folder is not empty, or the disk is full.
        RunError: the folder holds another job, or the run is of other data.
    """
    out = Path(out)
    if data.kind != "image":
        raise UsageError(f"{data.name} holds vectors: balance writes folders of images, give images")
    check_shape(data)
    plan = make_plan(data, config.target)
    run = Run.open(config.run) if config.run is not None else None
    if run is not None:
        run.check_data(data)
    check_outside(out, data)
    with ExitStack() as held:

        def begin() -> None:
            inside(out, HIDDEN)
            if not (out / HIDDEN).is_dir():
                check_output(out)
                make_folder(out / HIDDEN)
            inside(out / HIDDEN, "run")
            held.enter_context(hold(out / HIDDEN, "lock"))

        current().lead(begin)
        yield from _work(data, out, plan, run, config, stop)


def _work(
    data: Dataset,
    out: Path,
    plan: tuple[ClassPlan, ...],
    run: Run | None,
    config: BalanceConfig,
    stop: Callable[[], bool],
) -> Iterator[Stage]:
    """All stages; a folder that is finished is left as it is."""
    path, signature = out / HIDDEN / "state.json", _signature(data, run, plan, config)
    state = State.read(path, signature) if path.is_file() else State.fresh(signature, len(plan))
    state.done = state.done and (out / SUMMARY).is_file()
    yield Stage("plan", f"{sum(p.make for p in plan)} samples to make for {sum(p.make > 0 for p in plan)} classes")
    if not state.done:
        if run is None:
            stopped = yield from _train(data, out / HIDDEN / "run", config.train, stop)
            if stopped:
                return
            run = Run.open(out / HIDDEN / "run")
        finished = yield from _fill(data, out, plan, run, config, state, stop)
        if not finished:
            return
    yield Stage("done", str(out / "index.html"), 1.0)


def _train(data: Dataset, path: Path, config: TrainConfig, stop: Callable[[], bool]) -> Generator[Stage, None, bool]:
    """Train; returns whether a stop was asked."""
    for progress in train(data, path, config, stop):
        yield Stage("train", f"step {progress.step}", progress.fraction, progress)
    return progress.event == "stopped"


def _fill(
    data: Dataset,
    out: Path,
    plan: tuple[ClassPlan, ...],
    run: Run,
    config: BalanceConfig,
    state: State,
    stop: Callable[[], bool],
) -> Generator[Stage, None, bool]:
    """Write the real images, then sample, judge and write until the plan is met; returns whether it was not stopped."""
    path, ranks = out / HIDDEN / "state.json", current()
    if not state.real:
        yield Stage("write", "real images")
    ranks.lead(lambda: _begin(data, out, plan, config, state, path))
    state.real = True
    yield Stage("gate", "fitting the gate's classifier on the real images")
    gate = Gate(data, config.gate, config.seed)
    store, device = open_store(out, data.class_names, config.format, config.per_shard, state.size), _device()
    how = (run, config.sampler, config.tries, config.seed)
    with ExitStack() as held:
        held.callback(store.drop)
        collector = Collector(store, plan, gate, state, *how, lambda: state.write(path), ranks)
        for _ in collector.collect(run.model(), config.batch_size, device):
            made, wanted = sum(state.made), sum(p.make for p in plan)
            yield Stage("sample", f"{made} of {wanted} samples", made / max(1, wanted))
            if ranks.any(stop()):
                yield Stage("stopped", f"{made} of {wanted} samples; the same command goes on from here")
                return False
    yield Stage("write", "page and data card")
    ranks.lead(lambda: write_summary(data, store, results(plan, state), run, {**records_of(config), "device": device}))
    state.done = True
    ranks.lead(lambda: state.write(path))
    return True


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _begin(
    data: Dataset, out: Path, plan: tuple[ClassPlan, ...], config: BalanceConfig, state: State, path: Path
) -> None:
    """Make the folder ready to go on after what is complete, with the real images in it."""
    store = open_store(out, data.class_names, config.format, config.per_shard)
    store.truncate(state.size)
    if not state.real:
        state.size, state.real = write_real(data, store, plan, config.seed), True
        state.write(path)


def results(plan: tuple[ClassPlan, ...], state: State) -> tuple[ClassResult, ...]:
    """Plan and outcome of each class."""
    rows = zip(plan, state.made, state.next, state.copies, state.mislabelled, strict=True)
    return tuple(ClassResult(*row) for row in rows)


def records_of(config: BalanceConfig) -> dict[str, Any]:
    """The settings of a job that people look for on its page."""
    sampler = {key: str(value) for key, value in asdict(config.sampler).items()}
    gate = {key: str(value) for key, value in asdict(config.gate).items()}
    return {**sampler, **gate, "seed": str(config.seed), "tries": str(config.tries)}


def _signature(data: Dataset, run: Run | None, plan: tuple[ClassPlan, ...], config: BalanceConfig) -> dict[str, Any]:
    """What the folder depends on: data, plan, sampling, gate, and the run with its checkpoint or how to train one."""
    if run is None:
        origin = {"run": None, **{f"train.{key}": value for key, value in config.train.to_mapping().items()}}
    else:
        origin = {"run": str(run.path.resolve()), "checkpoint": pointed(run.checkpoints, "last")}
    settings = asdict(config.sampler) | asdict(config.gate)
    settings["interval"] = None if config.sampler.interval is None else list(config.sampler.interval)
    settings |= {"seed": config.seed, "tries": config.tries, "batch_size": config.batch_size}
    settings |= {} if config.format == "png" else {"format": config.format, "per_shard": config.per_shard}
    return {"data": data.fingerprint, "wanted": [p.wanted for p in plan], **origin, **settings}
