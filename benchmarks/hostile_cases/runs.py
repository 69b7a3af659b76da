"""Run folders and instruments from strangers: checkpoints, configurations, states, links that lead out of the folder."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import yaml

from benchmarks.hostile_cases.archives import Trap
from benchmarks.hostile_cases.case import REFUSED, Place, hostile
from benchmarks.hostile_cases.folders import names_are_plain

SAMPLE = "sample {run} --out {out} --per-class 1 --nfe 2"
GO_ON = (
    "train digits:factor=50 --out {run} --steps 6 --network tiny --set precision=float32 "
    "--set memory_format=channels_last --set batch_size=16 "
    "--set checkpoint_every=2 --set previews=0 --set warmup=2"
)


def checkpoint_of(place: Place) -> Path:
    """The last checkpoint of the run."""
    return max((place.run / "checkpoints").glob("step-*.safetensors"))


def replaced(place: Place, content: bytes) -> None:
    """Another content for the last checkpoint, with a checksum that fits it."""
    path = checkpoint_of(place)
    path.write_bytes(content)
    note = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "step": 4}
    path.with_suffix(".json").write_text(json.dumps(note))


def safetensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """A file with a header of one's own, which may lie about its length."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def changed(place: Place, part: str, **values: Any) -> None:
    """Other values in ``config.yaml``."""
    path = place.run / "config.yaml"
    record = yaml.safe_load(path.read_text())
    record[part] |= values
    path.write_text(yaml.safe_dump(record))


def state_changed(place: Place, **values: Any) -> None:
    """Other values in the state of the last checkpoint."""
    content = checkpoint_of(place).read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    state = json.loads(header["__metadata__"]["state"]) | values
    header["__metadata__"]["state"] = json.dumps(state)
    replaced(place, safetensors(header, content[8 + length :]))


def tensor_changed(place: Place, start: str, shape: list[int]) -> None:
    """Another shape, of as many entries, for the first tensor whose name begins so."""
    content = checkpoint_of(place).read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    name = min(key for key in header if key.startswith(start))
    header["optimiser.x.y.z"] = header.pop(name) | ({"shape": shape} if shape else {})
    replaced(place, safetensors(header, content[8 + length :]))


@hostile(SAMPLE, REFUSED, "is a pickle")
def pickle_as_checkpoint(place: Place) -> None:
    """A pickle that leaves a file when it is opened, with a checksum that fits."""
    replaced(place, pickle.dumps(Trap(place.canary)))


@hostile(SAMPLE, REFUSED, "is damaged")
def old_pickle_as_checkpoint(place: Place) -> None:
    """A pickle of the first protocol, which is plain text."""
    replaced(place, pickle.dumps(Trap(place.canary), protocol=0))


@hostile(SAMPLE, REFUSED, "is damaged")
def header_longer_than_the_file(place: Place) -> None:
    """A checkpoint whose header claims nine million terabytes."""
    replaced(place, safetensors({}, length=2**63 - 1))


@hostile(SAMPLE, REFUSED, "is damaged")
def tensor_beyond_the_file(place: Place) -> None:
    """A tensor whose offsets lie far behind the end."""
    replaced(place, safetensors({"ema.x": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}))


@hostile(SAMPLE, REFUSED, "is damaged")
def negative_offsets(place: Place) -> None:
    """A tensor whose offsets are negative."""
    replaced(place, safetensors({"ema.x": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}))


@hostile(SAMPLE, REFUSED, "is damaged")
def tensor_of_unknown_kind(place: Place) -> None:
    """A tensor of a kind that does not exist."""
    replaced(place, safetensors({"ema.x": {"dtype": "F999", "shape": [1], "data_offsets": [0, 4]}}, bytes(4)))


@hostile(SAMPLE, REFUSED, "is damaged")
def tensor_of_rare_kind(place: Place) -> None:
    """A tensor of four-bit floats."""
    replaced(place, safetensors({"ema.x": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}, bytes(1)))


@hostile(SAMPLE, REFUSED, "is damaged")
def deep_header_of_checkpoint(place: Place) -> None:
    """A header of a hundred thousand brackets."""
    replaced(place, safetensors(b"[" * 100_000))


@hostile(SAMPLE, REFUSED, "is damaged")
def deep_state_of_checkpoint(place: Place) -> None:
    """A state of a hundred thousand brackets."""
    replaced(place, safetensors({"__metadata__": {"state": "[" * 100_000}}))


@hostile(SAMPLE, REFUSED, "is damaged")
def state_that_is_a_list(place: Place) -> None:
    """A state that is no mapping."""
    replaced(place, safetensors({"__metadata__": {"state": "[1, 2]"}}))


@hostile(GO_ON, REFUSED, "how far training was")
def state_without_end(place: Place) -> None:
    """Infinity as the number of steps."""
    state_changed(place, step=float("inf"))


@hostile(GO_ON, REFUSED, "how far training was")
def negative_state(place: Place) -> None:
    """A negative number of steps and of seconds."""
    state_changed(place, step=-5, seconds=-1e9)


@hostile(GO_ON, REFUSED, "optimiser")
def strange_state_of_the_optimiser(place: Place) -> None:
    """A tensor of the optimiser under a name that is no parameter."""
    tensor_changed(place, "optimiser.", [])


@hostile(SAMPLE, REFUSED, "checksum file")
def deep_checksum(place: Place) -> None:
    """A checksum file of a hundred thousand brackets."""
    checkpoint_of(place).with_suffix(".json").write_text("[" * 100_000)


@hostile(SAMPLE, REFUSED, "no regular file")
def checkpoint_is_a_device(place: Place) -> None:
    """A checkpoint that is a link to a device without end."""
    path = checkpoint_of(place)
    path.unlink()
    path.with_suffix(".json").write_text('{"sha256": ""}')
    (place.run / "checkpoints" / "last").write_text(path.stem)
    path.symlink_to("/dev/zero")


@hostile(SAMPLE, (0,), "samples")
def pointer_out_of_the_folder(place: Place) -> None:
    """A pointer that is a path: it is passed over, and the newest checkpoint taken."""
    (place.run / "checkpoints" / "last").write_text("../../outside/precious")


@hostile(SAMPLE, REFUSED, "cannot be understood")
def configuration_that_runs_code(place: Place) -> None:
    """A configuration with a tag that would call a function."""
    path = place.run / "config.yaml"
    path.write_text(path.read_text() + f"more: !!python/object/apply:os.mkdir ['{place.canary}']\n")


@hostile(SAMPLE, REFUSED, "import os first")
def configuration_names_a_function(place: Place) -> None:
    """The name of a function that runs programs, as an objective."""
    changed(place, "train", objective={"name": "os:system"})


@hostile(SAMPLE, REFUSED, "objective")
def configuration_of_methods(place: Place) -> None:
    """Names of registered things with dots and underscores, which might be looked up as attributes."""
    changed(place, "train", objective={"name": "evenscore.run:Run.open.__globals__"})


@hostile(SAMPLE, REFUSED, "no regular file")
def configuration_is_a_pipe(place: Place) -> None:
    """A configuration that nobody writes."""
    (place.run / "config.yaml").unlink()
    os.mkfifo(place.run / "config.yaml")


@hostile(SAMPLE, REFUSED, "cannot be understood")
def configuration_that_laughs(place: Place) -> None:
    """A billion laughs as a learning rate."""
    from benchmarks.hostile_cases.settings import LAUGHS

    path = place.run / "config.yaml"
    path.write_text(LAUGHS + path.read_text().replace("lr: 0.001", "lr: *a11"))


@hostile(SAMPLE, REFUSED, "cannot be understood")
def images_without_end(place: Place) -> None:
    """Samples of a million million pixels."""
    changed(place, "data", shape=[1, 1_000_000, 1_000_000])


@hostile(SAMPLE, REFUSED, "cannot be understood")
def negative_counts_of_a_run(place: Place) -> None:
    """A run that was trained on minus five samples."""
    changed(place, "data", counts=[-5] * 10)


@hostile(SAMPLE, REFUSED, "cannot be understood")
def fewer_counts_than_classes(place: Place) -> None:
    """A run whose class names and counts do not fit."""
    changed(place, "data", counts=[5, 5])


@hostile(SAMPLE, (0,), "samples", look=names_are_plain)
def class_names_that_are_paths(place: Place) -> None:
    """A run whose classes are named like places elsewhere: folders are named safely."""
    names = ["../../outside", "/etc", "..", "C:\\x", "<script>", "-rf", "CON", "a\nb", "\u202ex", "9" * 5000]
    changed(place, "data", class_names=names)


@hostile(GO_ON, REFUSED, "leads outside")
def checkpoints_are_a_link_outside(place: Place) -> None:
    """A folder of checkpoints that is a link to a guarded folder, where files would be written and pruned."""
    (place.outside / "step-000000001.json").write_text("precious")
    (place.run / "checkpoints").rename(place.outside / "checkpoints")
    (place.run / "checkpoints").symlink_to("../outside/checkpoints")


@hostile(GO_ON, REFUSED, "leads outside")
def previews_are_a_link_outside(place: Place) -> None:
    """A folder of previews that is a link to a guarded folder."""
    (place.run / "previews").symlink_to("../outside")


@hostile(GO_ON, REFUSED, "leads outside")
def lock_is_a_link_outside(place: Place) -> None:
    """A lock that is a link to a file that is not there yet."""
    (place.run / "lock").unlink(missing_ok=True)
    (place.run / "lock").symlink_to("../outside/made")


@hostile(GO_ON, (0,), "trained")
def log_is_a_pipe(place: Place) -> None:
    """A log that nobody reads: it is replaced by a file."""
    (place.run / "metrics.jsonl").unlink()
    os.mkfifo(place.run / "metrics.jsonl")
