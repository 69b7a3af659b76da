"""Files of settings and counts: YAML that would run code or never ends, numbers that are none, keys that stand twice."""

from __future__ import annotations

import os

from benchmarks.hostile_cases.case import EITHER, MISUSED, REFUSED, Place, hostile

TRAIN = "train digits --out {out} --config {data}/config.yaml --dry-run"
SAMPLE = "sample {run} --out {out} --counts {data}/counts.json"
SAMPLE_YAML = "sample {run} --out {out} --counts {data}/counts.yaml"
LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)


def _config(place: Place, text: str) -> None:
    place.data.mkdir()
    (place.data / "config.yaml").write_text(text, encoding="utf-8")


def _counts(place: Place, text: str, name: str = "counts.json") -> None:
    place.data.mkdir()
    (place.data / name).write_text(text, encoding="utf-8")
    _ = place.run


def _rest(first: str) -> str:
    """Counts of all ten classes, that of the first as given."""
    return '{"0": ' + first + ", " + ", ".join(f'"{k}": 1' for k in range(1, 10)) + "}"


@hostile(TRAIN, REFUSED, "not valid YAML")
def python_object_in_yaml(place: Place) -> None:
    """A tag that would call a function."""
    _config(place, f"lr: !!python/object/apply:os.mkdir ['{place.canary}']\n")


@hostile(TRAIN, REFUSED, "not valid YAML")
def python_name_in_yaml(place: Place) -> None:
    """A tag that would import a module."""
    _config(place, "objective: !!python/name:os.system\n")


@hostile(TRAIN, REFUSED, "not valid YAML")
def billion_laughs(place: Place) -> None:
    """Lists of lists of lists by aliases, which a message would write out."""
    _config(place, LAUGHS + "lr: *a11\n")


@hostile(TRAIN, REFUSED, "not valid YAML")
def billion_laughs_by_merging(place: Place) -> None:
    """Mappings that take one another in."""
    text = "a0: &a0 {lr: 1, steps: 2}\n"
    text += "".join(f"a{i}: &a{i}\n  <<: [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10))
    _config(place, text + "<<: *a9\n")


@hostile(TRAIN, REFUSED, "not valid YAML")
def alias_of_itself(place: Place) -> None:
    """A list that holds itself."""
    _config(place, "lr: &a [*a]\n")


@hostile(TRAIN, REFUSED, "not valid YAML")
def deep_yaml(place: Place) -> None:
    """A hundred thousand brackets."""
    _config(place, "lr: " + "[" * 100_000 + "]" * 100_000 + "\n")


@hostile(TRAIN, REFUSED, "not valid YAML")
def deep_yaml_by_indentation(place: Place) -> None:
    """Two thousand levels of mappings."""
    _config(place, "".join(f"{' ' * i}a:\n" for i in range(2000)))


@hostile(TRAIN, REFUSED, "stands twice")
def setting_twice(place: Place) -> None:
    """A key that stands twice: which one is meant is not guessed."""
    _config(place, "steps: 3\nsteps: 300000\n")


@hostile(TRAIN, MISUSED, "lr=")
def rate_that_is_no_number(place: Place) -> None:
    """NaN as a learning rate."""
    _config(place, "steps: 3\nlr: .nan\n")


@hostile(TRAIN, MISUSED, "lr=")
def rate_without_end(place: Place) -> None:
    """A learning rate beyond all floats."""
    _config(place, "steps: 3\nlr: 1.0e+999\n")


@hostile(TRAIN, EITHER, "")
def seed_of_many_digits(place: Place) -> None:
    """A whole number of 100000 hexadecimal digits, which cannot be written in decimal ones."""
    _config(place, "steps: 3\nseed: 0x" + "f" * 100_000 + "\n")


@hostile(TRAIN, EITHER, "")
def steps_of_many_digits(place: Place) -> None:
    """A whole number of 100000 decimal digits."""
    _config(place, "steps: " + "9" * 100_000 + "\n")


@hostile("train digits --out {out} --config {data}/config.yaml", REFUSED, "memory")
def batch_of_a_million_million(place: Place) -> None:
    """A batch that no memory holds."""
    _config(place, "steps: 3\nbatch_size: 1000000000000\nnetwork: tiny\nprecision: float32\n")


@hostile(TRAIN, MISUSED, "import os first")
def objective_is_a_function(place: Place) -> None:
    """The name of a function that runs programs, as an objective."""
    _config(place, "steps: 3\nobjective: os:system\n")


@hostile(TRAIN, REFUSED, "larger than")
def settings_of_a_gigabyte(place: Place) -> None:
    """A file of settings of a gigabyte of nothing."""
    _config(place, "")
    os.truncate(place.data / "config.yaml", 2**30)


@hostile(TRAIN, REFUSED, "no regular file")
def settings_from_a_device(place: Place) -> None:
    """A device that never ends."""
    place.data.mkdir()
    (place.data / "config.yaml").symlink_to("/dev/zero")


@hostile(TRAIN, REFUSED, "no regular file")
def settings_from_a_pipe(place: Place) -> None:
    """A named pipe that nobody writes to."""
    place.data.mkdir()
    os.mkfifo(place.data / "config.yaml")


@hostile(TRAIN, REFUSED, "not valid YAML")
def settings_with_nul(place: Place) -> None:
    """NUL bytes among the keys."""
    _config(place, "steps: 3\n\0: 5\n")


@hostile(SAMPLE, MISUSED, "in all")
def counts_of_a_million_million(place: Place) -> None:
    """More samples than any disk holds."""
    _counts(place, _rest("1000000000000"))


@hostile(SAMPLE_YAML, EITHER, "a number of 100002 characters")
def counts_of_many_digits(place: Place) -> None:
    """A count of 100000 hexadecimal digits."""
    _counts(place, _rest("0x" + "f" * 100_000), "counts.yaml")


@hostile(SAMPLE, REFUSED, "cannot be read")
def counts_in_deep_json(place: Place) -> None:
    """A hundred thousand brackets as a count."""
    _counts(place, _rest("[" * 100_000 + "]" * 100_000))


@hostile(SAMPLE, MISUSED, "class '0'")
def counts_not_a_number(place: Place) -> None:
    """NaN as a count."""
    _counts(place, _rest("NaN"))


@hostile(SAMPLE, MISUSED, "class '0'")
def counts_without_end(place: Place) -> None:
    """Infinity, spelt as a number, as a count."""
    _counts(place, _rest("1e999"))


@hostile(SAMPLE, MISUSED, "class '0'")
def negative_counts(place: Place) -> None:
    """A count below zero."""
    _counts(place, _rest("-1"))


@hostile(SAMPLE, REFUSED, "stands twice")
def count_twice(place: Place) -> None:
    """A class that stands twice."""
    _counts(place, _rest('1, "0": 1000'))


@hostile(SAMPLE_YAML, REFUSED, "cannot be read")
def counts_that_laugh(place: Place) -> None:
    """A billion laughs as a count."""
    _counts(place, LAUGHS + "'0': *a11\n", "counts.yaml")


@hostile(SAMPLE_YAML, REFUSED, "cannot be read")
def counts_that_run_code(place: Place) -> None:
    """A tag that would call a function, as a count."""
    _counts(place, f"'0': !!python/object/apply:os.mkdir ['{place.canary}']\n", "counts.yaml")


@hostile("balance digits --out {out} --run {run} --target {data}/counts.json", MISUSED, "in all")
def target_of_a_million_million(place: Place) -> None:
    """A target that no disk holds."""
    _counts(place, _rest("1000000000000"))
