"""Two processes that divide the network among them against two that hold it each: memory, cost of a step, equal losses."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.interrupted import finish
from benchmarks.runner import Outcome
from benchmarks.scaling import SHORT, loss_difference, together

SUMMARY = (
    "two processes that divide the network hold at most 0.65 of the memory of two that do not; losses are those of one"
)
BOUND, TOLERANCE = 0.65, 1e-4
DATA = "digits:factor=50"
MEASURED = """
import gc, json, re, time
from pathlib import Path
import torch
from evenscore import Run, TrainConfig, load
from evenscore.ranks import current, leave
from evenscore.run import DataCard
from evenscore.training.loop import Trainer
torch.set_num_threads(1)
data, where, ranks = load({data!r}), Path({where!r}), current()
settings = {{"network": {network!r}, "shard": {shard!r}, "batch_size": {batch}, "steps": 1000, "previews": 0,
    "precision": "float32", "memory_format": "channels_last", "dropout": 0.0}}
ranks.lead(lambda: Run.create(where, TrainConfig.from_mapping(settings), DataCard.of(data)))

def held(field):
    return int(re.search(field + r":\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1)) / 1024

def peak(work):
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    made = work()
    ranks.any(False)
    found.append(held("VmHWM") - before)
    return made

def steps():
    for _ in range({steps}):
        started = time.perf_counter()
        trainer.one_step()
        ranks.any(False)
        seconds.append(time.perf_counter() - started)

before, found, seconds = held("VmRSS"), [], []
trainer = peak(lambda: Trainer(Run.open(where), data))
peak(steps)
peak(trainer.save)
del trainer
trainer = peak(lambda: Trainer(Run.open(where), data))
all_found = [json.loads(content) for content in ranks.contents(json.dumps(found).encode())]
if ranks.first:
    parameters = sum(p.numel() for p in trainer.model.parameters())
    print(json.dumps({{"parameters": parameters, "peaks": all_found, "seconds": sorted(seconds[1:])}}), flush=True)
ranks.any(False)
del trainer
leave()
"""
"""Peak MiB of each process, over what it held before, of four phases; and seconds of the steps; formatted before it is run."""
RETURNING = {"MALLOC_MMAP_THRESHOLD_": "65536"}
"""Makes glibc give memory back as soon as it is freed, as the allocators of accelerators let others use it: without it, what
was freed stays with the process and the peak says little."""
PHASES = ("start", "steps", "save", "resume")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--network", default="base", help="network whose memory is measured")
    parser.add_argument("--batch-size", type=int, default=2, help="samples of a training step")
    parser.add_argument("--steps", type=int, default=6, help="training steps, of which the first is not timed")


def run(args: argparse.Namespace) -> Outcome:
    """Compare the losses on a small network, then the memory on a large one."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        difference = agreement(folder, args.data or DATA)
        found = {shard: measured(folder, shard, args) for shard in ("off", "on")}
    share = {phase: found["on"]["peak"][phase] / found["off"]["peak"][phase] for phase in PHASES}
    values = {
        "parameters": found["off"]["parameters"],
        "peak MiB": {shard: mine["peak"] for shard, mine in found.items()},
        "share": share,
        "cost of a step": found["on"]["step"] / found["off"]["step"],
        "loss difference": difference,
    }
    bound = {"share": {"steps": f"<= {BOUND}"}, "loss difference": f"< {TOLERANCE}"}
    return Outcome(values, bound, share["steps"] <= BOUND and difference < TOLERANCE)


def agreement(folder: Path, data: str) -> float:
    """Largest relative difference of the losses of two processes that divide the network from those of one."""
    finish(["train", data, "--out", "one", *SHORT], folder)
    together(["train", data, "--out", "two", *SHORT, "--set", "shard=on"], folder)
    return loss_difference(folder / "one", folder / "two")


def measured(folder: Path, shard: str, args: argparse.Namespace) -> dict[str, Any]:
    """Peak MiB over the processes of each phase, seconds of a step, and number of parameters."""
    script, asked = folder / "measured.py", {"batch": args.batch_size, "steps": args.steps, "network": args.network}
    where = str(folder / f"memory-{shard}")
    script.write_text(MEASURED.format(data=args.data or DATA, where=where, shard=shard, **asked), encoding="utf-8")
    printed = json.loads(together([], folder, (str(script),), RETURNING).strip().rpartition("\n")[2])
    print(f"shard={shard}: {printed}", flush=True)
    peaks = {phase: max(mine[i] for mine in printed["peaks"]) for i, phase in enumerate(PHASES)}
    times = printed["seconds"]
    return {"peak": peaks, "step": times[len(times) // 2], "parameters": printed["parameters"]}
