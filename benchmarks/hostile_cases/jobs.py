"""Half-finished output folders, logs and instruments from strangers: states that lie, links that lead out, judges, modules."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

from benchmarks.hostile_cases.archives import Trap
from benchmarks.hostile_cases.case import DONE, EITHER, MISUSED, REFUSED, Place, hostile, labelled, pictures
from benchmarks.hostile_cases.folders import BALANCE, QUICK, page_is_inert
from benchmarks.hostile_cases.runs import safetensors

BEGIN = "benchmarks.hostile_cases.jobs:begin_"
SAMPLE = "sample {run} --out {out} --per-class 1 --nfe 2"
SAMPLE_STATE = ".evenscore-sample.json"
JUDGED = "evaluate {data} --reference digits --features {root}/judge.safetensors"
USING = "balance digits:factor=50 --out {out} --run {run} --target 3 --nfe 2"


def _sample_begun(place: Place, **state: Any) -> None:
    """The output folder of a sampling job that was stopped at once, with values of its state replaced."""
    _ = place.run
    place.out.mkdir()
    (place.root / "wanted.json").write_text(json.dumps(state))


def begin_sampling(root: Path) -> None:
    """Let the job of the command begin, and put the wanted values into its state: only the job itself knows it."""
    from evenscore.sampling.progress import Progress

    begin = Progress.begin

    def begin_and_spoil(self: Progress) -> None:
        path = self.out / self.state
        job = json.loads(json.dumps(dict(self.job)))
        wanted = json.loads((root / "wanted.json").read_text())
        path.write_text(json.dumps({"job": job, "done": 0, "size": 0} | wanted))
        begin(self)

    Progress.begin = begin_and_spoil  # type: ignore[method-assign]


def begin_balancing(root: Path) -> None:
    """The same for a balanced folder."""
    from benchmarks.hostile_cases.folders import quick_classifiers
    from evenscore.balancing.state import State

    quick_classifiers(root)
    read = State.read.__func__  # type: ignore[attr-defined]

    def spoil_and_read(cls: type[State], path: Path, signature: dict[str, Any], *rest: Any) -> State:
        fresh = {"signature": signature, **json.loads(path.read_text())}
        path.write_text(json.dumps(fresh))
        return read(cls, path, signature, *rest)  # type: ignore[no-any-return]

    State.read = classmethod(spoil_and_read)  # type: ignore[assignment,method-assign]


def balance_begun(place: Place, **state: Any) -> None:
    pictures(place.data)
    hidden = place.out / ".evenscore"
    hidden.mkdir(parents=True)
    numbers = {name: [0, 0] for name in ("start", "round", "next", "made", "copies", "mislabelled")}
    (hidden / "state.json").write_text(json.dumps({"size": 0, "real": False, **numbers, **state}))


def _precious(place: Place) -> str:
    text = (place.outside / "precious.txt").read_bytes()
    return "" if text.count(b"precious") == 20 else "the guarded text was changed"


@hostile(SAMPLE, REFUSED, "cannot be understood", before=BEGIN + "sampling")
def negative_progress(place: Place) -> None:
    """A state that says minus five samples are done."""
    _sample_begun(place, done=-5)


@hostile(SAMPLE, REFUSED, "cannot be understood", before=BEGIN + "sampling")
def progress_without_end(place: Place) -> None:
    """A state that says infinitely many samples are done."""
    _sample_begun(place, done=float("inf"))


@hostile(SAMPLE, REFUSED, "cannot be understood", before=BEGIN + "sampling")
def progress_beyond_the_job(place: Place) -> None:
    """A state that says more samples are done than were asked for."""
    _sample_begun(place, done=11)


@hostile(SAMPLE, REFUSED, "shorter than", before=BEGIN + "sampling")
def metadata_of_a_terabyte(place: Place) -> None:
    """A state that says there is a terabyte of metadata: the file would be filled up with nothing."""
    _sample_begun(place, size=2**40)


@hostile(SAMPLE, REFUSED, "cannot be understood")
def deep_state(place: Place) -> None:
    """A state of a hundred thousand brackets."""
    _sample_begun(place)
    (place.out / SAMPLE_STATE).write_text("[" * 100_000)


@hostile(SAMPLE, REFUSED, "leads outside", before=BEGIN + "sampling", look=_precious)
def metadata_is_a_link_outside(place: Place) -> None:
    """Metadata that are a link to a guarded file, which would be cut off and written to."""
    _sample_begun(place)
    (place.out / "metadata.jsonl").symlink_to("../outside/precious.txt")


@hostile(SAMPLE, REFUSED, "leads outside", before=BEGIN + "sampling")
def class_folder_is_a_link_outside(place: Place) -> None:
    """A class folder that is a link to a guarded folder."""
    _sample_begun(place)
    (place.out / "3").symlink_to("../outside")


@hostile(SAMPLE, REFUSED, "leads outside", before=BEGIN + "sampling")
def lock_of_a_job_is_a_link_outside(place: Place) -> None:
    """A lock that is a link to a file that is not there yet."""
    _sample_begun(place)
    (place.out / ".evenscore-sample.lock").symlink_to("../outside/made")


@hostile(SAMPLE, DONE, "samples", before=BEGIN + "sampling", look=_precious)
def unfinished_file_is_a_link_outside(place: Place) -> None:
    """Unfinished files of every process number that are links to a guarded file."""
    _sample_begun(place)
    (place.out / "3").mkdir()
    for number in range(max(1, os.getpid() - 3000), os.getpid() + 30_000):
        (place.out / "3" / f".{number}.part").symlink_to("../../outside/precious.txt")


@hostile(BALANCE, REFUSED, "cannot be understood", before=BEGIN + "balancing")
def negative_counts_of_a_balance(place: Place) -> None:
    """A state with fewer than no samples."""
    balance_begun(place, made=[-3, 0])


@hostile(BALANCE, REFUSED, "cannot be understood", before=BEGIN + "balancing")
def round_of_a_million_million(place: Place) -> None:
    """A state in the middle of a round of a million million candidates."""
    balance_begun(place, round=[10**12, 0])


@hostile(BALANCE, REFUSED, "cannot be understood", before=BEGIN + "balancing")
def counts_of_other_classes(place: Place) -> None:
    """A state of three classes for two."""
    balance_begun(place, made=[0, 0, 0])


@hostile(BALANCE, REFUSED, "cannot be understood", before=BEGIN + "balancing")
def counts_that_are_words(place: Place) -> None:
    """A state of words."""
    balance_begun(place, next=["a", "b"])


@hostile(BALANCE, REFUSED, "cannot be understood")
def signature_that_is_a_list(place: Place) -> None:
    """A state whose signature is no mapping."""
    balance_begun(place, signature=[1])


@hostile(BALANCE, REFUSED, "was made with")
def signature_of_a_megabyte(place: Place) -> None:
    """A state of another job with a value that a message would write out."""
    balance_begun(place, signature={"data": "x" * 10**6})


@hostile(BALANCE, DONE, "page:", before=BEGIN + "balancing", slow=True)
def finished_without_a_summary(place: Place) -> None:
    """A state that says all is done in a folder that holds nothing: it is done again."""
    balance_begun(place, done=True)


@hostile(BALANCE, REFUSED, "leads outside")
def hidden_folder_is_a_link_outside(place: Place) -> None:
    """A hidden folder that is a link to a guarded folder."""
    pictures(place.data)
    place.out.mkdir()
    (place.out / ".evenscore").symlink_to("../outside")


@hostile(BALANCE, REFUSED, "leads outside", before=QUICK, slow=True)
def hidden_run_is_a_link_outside(place: Place) -> None:
    """The run inside a balanced folder is a link to a guarded folder."""
    pictures(place.data)
    (place.out / ".evenscore").mkdir(parents=True)
    (place.outside / "run").mkdir()
    (place.out / ".evenscore" / "run").symlink_to("../../outside/run")


@hostile(USING, DONE, "page:", before=QUICK, slow=True, look=page_is_inert)
def log_of_nonsense(place: Place) -> None:
    """A log whose lines are no records: they are passed over."""
    lines = (
        '{"loss": 1}',
        '{"step": "4", "by_group": {"<script>alert(1)</script>": 3}}',
        '{"step": 4, "by_group": [1, 2], "game": 5}',
        '{"step": 4, "by_group": {"head": "much"}, "game": {"disagreement": 1}}',
        '{"step": 1e999, "by_group": {"head": NaN}}',
        '{"step": 4, "by_group": {"<script>alert(1)</script>": 0.5, "head": 1e999}}',
        "[" * 100_000,
        "[1]",
    )
    with (place.run / "metrics.jsonl").open("a") as file:
        file.write("\n".join(lines) + "\n")


def _judge(place: Place, content: bytes) -> None:
    labelled(place.data, tuple("0123456789"), 1)
    (place.root / "judge.safetensors").write_bytes(content)


def _tensor(shape: list[int], start: int, end: int, kind: str = "F32") -> dict[str, Any]:
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


@hostile(JUDGED, REFUSED, "cannot be read")
def pickle_as_judge(place: Place) -> None:
    """A pickle that leaves a file when it is opened."""
    _judge(place, pickle.dumps(Trap(place.canary)))


@hostile(JUDGED, REFUSED, "cannot be read")
def judge_header_longer_than_the_file(place: Place) -> None:
    """A judge whose header claims more than there is."""
    _judge(place, safetensors({}, length=2**62))


@hostile(JUDGED, REFUSED, "cannot be read")
def judge_of_unknown_kind(place: Place) -> None:
    """A judge of a kind of numbers that does not exist here."""
    _judge(place, safetensors({"body.0.0.weight": _tensor([2], 0, 1, "F4")}, bytes(1)))


@hostile(JUDGED, REFUSED, "another network")
def judge_of_endless_classes(place: Place) -> None:
    """A judge of a million million million classes without a weight."""
    header = {"body.0.0.weight": _tensor([1, 1, 3, 3], 0, 36), "head.weight": _tensor([2**60, 0], 36, 36)}
    _judge(place, safetensors(header, bytes(36)))


@hostile(JUDGED, REFUSED, "no regular file")
def judge_is_a_device(place: Place) -> None:
    """A judge that is a link to a device without end."""
    labelled(place.data, tuple("0123456789"), 1)
    (place.root / "judge.safetensors").symlink_to("/dev/zero")


@hostile("evaluate {data} --reference digits --features inception:{root}/inception.pth", REFUSED, "SHA-256")
def pickle_as_inception(place: Place) -> None:
    """A pickle in place of the published weights: it is known by its checksum and not opened."""
    labelled(place.data, tuple("0123456789"), 1)
    (place.root / "inception.pth").write_bytes(pickle.dumps(Trap(place.canary)))


@hostile("evaluate {data} --reference digits --features payload:Net", MISUSED, "cannot be imported")
def module_beside_the_data(place: Place) -> None:
    """A module beside the samples: only what lies on Python's own path is imported."""
    labelled(place.data, tuple("0123456789"), 1)
    code = f"import os\nos.mkdir({str(place.canary)!r})\n"
    (place.data / "payload.py").write_text(code)
    (place.root / "payload.py").write_text(code)


@hostile("evaluate {data} --reference digits --features os:system", EITHER, "not a torch module")
def function_as_features(place: Place) -> None:
    """A function that runs programs, as features."""
    labelled(place.data, tuple("0123456789"), 1)
