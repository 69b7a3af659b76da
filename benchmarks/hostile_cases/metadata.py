"""Label files that point elsewhere, cannot be parsed, or hold values that no label or name is."""

from __future__ import annotations

import json
import os

from benchmarks.hostile_cases.case import DONE, REFUSED, Place, hostile, labelled, picture, pictures

INSPECT = "inspect {data}"


def _csv(place: Place, *lines: str) -> None:
    pictures(place.data)
    text = "\n".join(("file_name,label", "cat/0.png,cat", "dog/0.png,dog", *lines))
    (place.data / "metadata.csv").write_text(text, encoding="utf-8", errors="surrogateescape")


def _jsonl(place: Place, line: str) -> None:
    pictures(place.data)
    good = '{"file_name": "cat/0.png", "label": "cat"}\n{"file_name": "dog/0.png", "label": "dog"}\n'
    (place.data / "metadata.jsonl").write_text(good + line)


@hostile(INSPECT, REFUSED, "leaves the folder")
def parent_folders(place: Place) -> None:
    """A name that climbs out of the folder."""
    _csv(place, "../outside/secret.png,dog")


@hostile(INSPECT, REFUSED, "leaves the folder")
def hidden_parent_folders(place: Place) -> None:
    """A name that goes in and then climbs out."""
    _csv(place, "cat/./../../outside/secret.png,dog")


@hostile(INSPECT, REFUSED, "is absolute")
def absolute_name(place: Place) -> None:
    """The absolute name of a picture that exists."""
    _csv(place, f"{place.outside / 'secret.png'},dog")


@hostile(INSPECT, REFUSED, "is absolute")
def windows_drive(place: Place) -> None:
    """A name with a drive letter."""
    _csv(place, "C:\\outside\\secret.png,dog")


@hostile(INSPECT, REFUSED, "is absolute")
def windows_share(place: Place) -> None:
    """A name on a network share, which must not be asked for."""
    _csv(place, "\\\\server\\share\\secret.png,dog")


@hostile(INSPECT, REFUSED, "missing image")
def windows_parent_folders(place: Place) -> None:
    """A name that climbs out with backslashes."""
    _csv(place, "..\\outside\\secret.png,dog")


@hostile(INSPECT, REFUSED, "leaves the folder")
def link_to_a_file_outside(place: Place) -> None:
    """A link inside the folder to a picture outside."""
    _csv(place, "cat/link.png,dog")
    (place.data / "cat" / "link.png").symlink_to(place.outside / "secret.png")


@hostile(INSPECT, REFUSED, "leaves the folder")
def link_to_a_folder_outside(place: Place) -> None:
    """A name through a linked folder."""
    _csv(place, "link/secret.png,dog")
    (place.data / "link").symlink_to(place.outside)


@hostile(INSPECT, REFUSED, "missing image")
def link_to_itself(place: Place) -> None:
    """A name that is a link to itself."""
    _csv(place, "loop.png,dog")
    (place.data / "loop.png").symlink_to("loop.png")


@hostile(INSPECT, REFUSED, "leads outside")
def label_file_is_a_link_outside(place: Place) -> None:
    """A label file that is a link to a file of somebody else."""
    pictures(place.data)
    (place.data / "metadata.csv").symlink_to(place.outside / "precious.txt")


@hostile(INSPECT, REFUSED, "no regular file")
def label_file_is_a_pipe(place: Place) -> None:
    """A named pipe that nobody writes to, called metadata.csv."""
    pictures(place.data)
    os.mkfifo(place.data / "metadata.csv")


@hostile(INSPECT, REFUSED, "is no file name")
def name_with_nul(place: Place) -> None:
    """A NUL byte inside a name."""
    _csv(place, "cat/0.png\0.txt,cat")


@hostile(INSPECT, REFUSED, "is no file name")
def name_with_half_a_character(place: Place) -> None:
    """Half of a surrogate pair, which no file name can hold."""
    _jsonl(place, json.dumps({"file_name": "cat/\ud800.png", "label": "cat"}))


@hostile(INSPECT, REFUSED, "missing image")
def name_of_a_million_characters(place: Place) -> None:
    """A name longer than any file system takes."""
    _jsonl(place, json.dumps({"file_name": "a" * 10**6, "label": "cat"}))


@hostile(INSPECT, REFUSED, "missing image")
def name_of_several_lines(place: Place) -> None:
    """A name that would write lines of its own into the error message."""
    _jsonl(place, json.dumps({"file_name": "a\nevenscore: all is well\n\x1b[2J", "label": "cat"}))


@hostile(INSPECT, REFUSED, "is no file name")
def name_is_a_number(place: Place) -> None:
    """A number beyond all floats as a name."""
    _jsonl(place, '{"file_name": 1e999, "label": "cat"}')


@hostile(INSPECT, REFUSED, "missing or no class")
def label_is_not_a_number(place: Place) -> None:
    """NaN, which JSON does not have, as a label."""
    _jsonl(place, '{"file_name": "cat/1.png", "label": NaN}')


@hostile(INSPECT, REFUSED, "not a JSON object")
def label_of_many_digits(place: Place) -> None:
    """An integer of 100000 digits as a label."""
    _jsonl(place, '{"file_name": "cat/1.png", "label": ' + "9" * 100_000 + "}")


@hostile(INSPECT, DONE, "samples")
def label_text_of_many_digits(place: Place) -> None:
    """Class names that are numbers too long to be numbers: they sort, and nothing fails."""
    labelled(place.data, ("9" * 20_000, "1" + "0" * 20_000, "7"))


@hostile(INSPECT, REFUSED, "not a JSON object")
def deep_json(place: Place) -> None:
    """A hundred thousand brackets."""
    _jsonl(place, '{"file_name": ' + "[" * 100_000 + "]" * 100_000 + "}")


@hostile(INSPECT, REFUSED, "stands twice")
def key_twice_in_json(place: Place) -> None:
    """A line with two names: which one is meant is not guessed."""
    _jsonl(place, '{"file_name": "cat/1.png", "file_name": "../outside/secret.png", "label": "cat"}')


@hostile(INSPECT, REFUSED, "stands twice")
def column_twice(place: Place) -> None:
    """A table with two columns of labels."""
    pictures(place.data)
    (place.data / "metadata.csv").write_text("file_name,label,label\ncat/0.png,cat,dog\ndog/0.png,dog,cat\n")


@hostile(INSPECT, REFUSED, "field larger than field limit")
def endless_field(place: Place) -> None:
    """A quote that is never closed."""
    _csv(place, '"' + "a" * 500_000)


@hostile(INSPECT, REFUSED, "cannot be read")
def another_encoding(place: Place) -> None:
    """UTF-16 text."""
    pictures(place.data)
    (place.data / "metadata.csv").write_bytes("file_name,label\ncat/0.png,cat\n".encode("utf-16"))


@hostile(INSPECT, REFUSED, "cannot be read")
def binary_label_file(place: Place) -> None:
    """Random bytes."""
    pictures(place.data)
    (place.data / "metadata.jsonl").write_bytes(bytes(range(256)) * 40)


@hostile(INSPECT, DONE, "=cmd|")
def spreadsheet_formula(place: Place) -> None:
    """A formula as a label: it is text."""
    labelled(place.data, ("=cmd|'/c calc'!A0", "@SUM(1+1)"))


@hostile(INSPECT, REFUSED, "duplicate labels")
def one_picture_two_labels(place: Place) -> None:
    """The same picture by two spellings of its name, with two labels."""
    _csv(place, "./cat/../cat/0.png,dog")


@hostile(INSPECT, REFUSED, "holds both")
def two_label_files(place: Place) -> None:
    """Both kinds of label file, which could disagree."""
    labelled(place.data, ("cat", "dog"))
    (place.data / "metadata.csv").write_text("file_name,label\n0-0.png,dog\n")


@hostile("evaluate {data} --reference digits --features pixels --out {out}/e.json", REFUSED, "leaves the folder")
def evaluated_folder_points_outside(place: Place) -> None:
    """Samples to evaluate whose label file names a picture outside."""
    labelled(place.data, ("cat", "dog"))
    with (place.data / "metadata.jsonl").open("a") as file:
        file.write('\n{"file_name": "../outside/secret.png", "label": "cat", "synthetic": true}')


@hostile("evaluate {data} --reference digits --features pixels", REFUSED, "class")
def evaluated_folder_with_the_other_key(place: Place) -> None:
    """Samples named in the column ``file``, of classes that the reference lacks."""
    for k, label in enumerate(("cat", "dog")):
        picture(place.data / f"{k}.png", k)
        with (place.data / "metadata.jsonl").open("a") as file:
            file.write(json.dumps({"file": f"{k}.png", "label": label, "synthetic": True}) + "\n")
