"""What a balanced folder or a comparison of a stranger holds: metadata that lead out, links, records of nonsense."""

from __future__ import annotations

import json
import os

from benchmarks.hostile_cases.case import REFUSED, Place, hostile, labelled, picture
from benchmarks.hostile_cases.folders import BALANCE
from benchmarks.hostile_cases.jobs import BEGIN, balance_begun

GOES_ON = BEGIN + "balancing"
COMPARE = (
    "compare cbdm --data digits:factor=50 --budget 2 --seeds 1 --equal updates --features pixels --metrics kernel "
    "--set network=tiny --out {out}"
)
DOWNSTREAM = "downstream digits:factor=50 --synthetic {data} --steps 2 --seeds 2 --methods re-weighted --out {out}"
UNCLEAR = "metadata.jsonl cannot be understood"


def _made(place: Place, **changed: object) -> None:
    """A balanced folder of which all is said to be made, one image of each class; of the first what is given differs."""
    lines: list[dict[str, object]] = []
    for name in ("cat", "dog"):
        picture(place.out / name / "a.png")
        lines.append({"file_name": f"{name}/a.png", "label": name, "synthetic": True, "scores": {"nearest": 0}})
    lines[0] |= changed
    text = "".join(json.dumps(line) + "\n" for line in lines)
    balance_begun(place, real=True, size=len(text), made=[1, 1], next=[1, 1])
    (place.out / "metadata.jsonl").write_text(text)


def embeds_nothing(place: Place) -> str:
    """Whether a page was written, which would show the picture."""
    return "a page was written" if (place.out / "index.html").exists() else ""


@hostile(BALANCE, REFUSED, UNCLEAR, before=GOES_ON, slow=True, look=embeds_nothing)
def metadata_that_climb_out(place: Place) -> None:
    """A made image that would be a picture of somebody else, shown on the page."""
    _made(place, file_name="../outside/secret.png")


@hostile(BALANCE, REFUSED, "leads outside", before=GOES_ON, slow=True, look=embeds_nothing)
def made_image_is_a_link_outside(place: Place) -> None:
    """A made image that is a link to a picture of somebody else."""
    _made(place)
    (place.out / "cat" / "a.png").unlink()
    (place.out / "cat" / "a.png").symlink_to("../../outside/secret.png")


@hostile(BALANCE, REFUSED, UNCLEAR, before=GOES_ON, slow=True)
def metadata_of_an_unknown_class(place: Place) -> None:
    """A made image of a class that is not there."""
    _made(place, label="<script>")


@hostile(BALANCE, REFUSED, UNCLEAR, before=GOES_ON, slow=True)
def nearest_image_beyond_all(place: Place) -> None:
    """A made image that is nearest to the training image of a number that no set has."""
    _made(place, scores={"nearest": 10**12})


@hostile(COMPARE, REFUSED, "leads outside")
def comparison_is_a_link_outside(place: Place) -> None:
    """A folder of runs, which are removed when they are judged, that is a link to a guarded folder."""
    place.out.mkdir()
    (place.out / "runs").symlink_to("../outside")


@hostile(COMPARE, REFUSED, "job.json cannot be understood")
def comparison_of_brackets(place: Place) -> None:
    """A job of a hundred thousand brackets."""
    place.out.mkdir()
    (place.out / "job.json").write_text("[" * 100_000)


@hostile(COMPARE, REFUSED, "job.json cannot be understood")
def comparison_without_recipes(place: Place) -> None:
    """A job that names no recipes."""
    place.out.mkdir()
    (place.out / "job.json").write_text('{"recipes": {"plain": 3}}')


@hostile(COMPARE, REFUSED, "holds no comparison")
def comparison_that_is_a_pipe(place: Place) -> None:
    """A job that is a named pipe."""
    place.out.mkdir()
    os.mkfifo(place.out / "job.json")


@hostile(DOWNSTREAM, REFUSED, "leads outside")
def parts_are_a_link_outside(place: Place) -> None:
    """A folder of finished parts that is a link to a guarded folder."""
    labelled(place.data, tuple("0123456789"), 1)
    place.out.mkdir()
    (place.out / "parts").symlink_to("../outside")


@hostile(DOWNSTREAM, REFUSED, "job.json cannot be understood")
def downstream_job_of_brackets(place: Place) -> None:
    """A job of a hundred thousand brackets."""
    labelled(place.data, tuple("0123456789"), 1)
    place.out.mkdir()
    (place.out / "job.json").write_text("[" * 100_000)


@hostile("report {data}", REFUSED, "comparison.json cannot be understood")
def result_of_nonsense(place: Place) -> None:
    """A result whose sections are a number."""
    place.data.mkdir()
    (place.data / "comparison.json").write_text('{"sections": 5, "data": "digits"}')


@hostile("report {data}", REFUSED, "comparison.json cannot be understood")
def result_of_brackets(place: Place) -> None:
    """A result of a hundred thousand brackets."""
    place.data.mkdir()
    (place.data / "comparison.json").write_text("[" * 100_000)
