"""Folders with links, loops, pipes, devices and names that hurt: on disk, on the page, in a terminal."""

from __future__ import annotations

import os
import re
import socket
from html.parser import HTMLParser
from pathlib import Path

from benchmarks.hostile_cases.case import DONE, REFUSED, Place, hostile, labelled, picture, pictures

INSPECT = "inspect {data}"
TRAINING = (
    "--steps 2 --network tiny --set batch_size=8 --set previews=0 --set precision=float32 "
    "--set memory_format=channels_last"
)
BALANCE = "balance {data} --out {out} --target 4 --nfe 2 " + TRAINING
VICTIM = "data/cat/1.png"
LATER, AT_ONCE = (f"benchmarks.hostile_cases.folders:vanish_{when}" for when in ("later", "at_once"))
QUICK = "benchmarks.hostile_cases.folders:quick_classifiers"
MARKUP = (
    "</script><script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "<svg/onload=alert(1)>",
    "{{ 7 * 7 }}{% for x in y %}",
    "[click](javascript:alert(1)) `x` | a |",
)
CLASHES = (
    "caf\u00e9",
    "cafe\u0301",
    "CAF\u00c9",
    "a/b",
    "a:b",
    "a_b",
    "stra\u00dfe",
    "strasse",
    "\ufb01n",
    "fin",
    "fin\u200b",
)
PATHS = (
    "../../outside",
    "/etc/passwd",
    "C:\\evil",
    "..",
    ".",
    "CON",
    "-rf",
    "a" * 5000,
    "nul\0",
    "two\nlines",
    "\u202egnp",
)


def quick_classifiers(_: Path) -> None:
    """Let the gate's classifiers train for three steps."""
    import evenscore.balancing.gate as gate
    import evenscore.balancing.summary as summary
    from evenscore.metrics import fit_classifier

    for module in (gate, summary):
        module.fit_classifier = lambda *given, **named: fit_classifier(*given, **named, steps=3)  # type: ignore[attr-defined]


class _Markup(HTMLParser):
    """Gathers what of a page could act: elements and attributes."""

    ALLOWED_ADDRESS = re.compile(r"(data:image/(png|jpeg|svg\+xml)|#)")

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element: no script, no frame, no handler, no address outside the page."""
        if tag in ("script", "iframe", "object", "embed", "base", "form", "link", "foreignobject"):
            self.wrong.append(f"element {tag}")
        for name, value in attrs:
            if name.startswith("on") or (
                name in ("href", "src", "xlink:href") and not self.ALLOWED_ADDRESS.match(value or "")
            ):
                self.wrong.append(f"attribute {name}={str(value)[:40]}")


def page_is_inert(place: Place) -> str:
    """What on the page or the card of ``out`` could act."""
    card = (place.out / "README.md").read_text(encoding="utf-8")
    found = inert_markup((place.out / "index.html").read_text(encoding="utf-8"))
    return found or inert_markdown(card) or names_are_plain(place)


def inert_markup(page: str) -> str:
    """What in a page could act."""
    parser = _Markup()
    parser.feed(page)
    if "49" in page.split("{{ 7 * 7 }}")[0][-20:]:
        parser.wrong.append("a template was evaluated")
    return "; ".join(parser.wrong)


def inert_markdown(text: str) -> str:
    """What in a text of Markdown could act."""
    wrong = [f"it holds {raw}" for raw in ("<script", "<img", "<svg") if raw in text]
    wrong += ["it holds a link"] if re.search(r"(?<!\\)\]\(javascript", text) else []
    return "; ".join(wrong)


def names_are_plain(place: Place) -> str:
    """Which folder names in ``out`` are not plain names."""
    reserved = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
    for path in place.out.rglob("*"):
        name = path.name
        bad = not name.isprintable() or name.startswith("-") or name.endswith((" ", "."))
        if bad or len(name.encode()) > 255 or reserved.fullmatch(name) or re.search(r"[<>:\"/\\|?*]", name):
            return f"name {name!r}"
    return ""


@hostile(BALANCE, DONE, "page:", before=QUICK, slow=True, look=page_is_inert)
def class_names_of_markup(place: Place) -> None:
    """HTML, JavaScript, SVG, templates and Markdown as class names, through to the page and the card."""
    labelled(place.data, MARKUP)


@hostile(BALANCE, DONE, "page:", before=QUICK, slow=True, look=page_is_inert)
def class_names_of_paths(place: Place) -> None:
    """Paths, reserved names, an option, NUL, lines, a mark that turns text round, and 5000 letters as class names."""
    labelled(place.data, PATHS, count=2)


def folders_differ(place: Place) -> str:
    """Whether each class has a folder of its own, on every file system."""
    import unicodedata

    names = [path.name for path in place.out.iterdir() if path.is_dir() and not path.name.startswith(".")]
    keys = {unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()) for name in names}
    return "" if len(keys) == len(names) == len(CLASHES) else f"folders {sorted(names)!r}"


@hostile(BALANCE, DONE, "page:", before=QUICK, slow=True, look=folders_differ)
def class_names_that_clash(place: Place) -> None:
    """Names that differ in case, in how a letter is composed, in what is made safe, or in marks that nobody sees."""
    labelled(place.data, CLASHES, count=2)


@hostile(BALANCE, DONE, "page:", before=QUICK, slow=True, look=page_is_inert)
def file_names_of_markup(place: Place) -> None:
    """HTML in the names of unreadable and of readable files."""
    pictures(place.data)
    (place.data / "cat" / "<img src=x onerror=alert(1)>.png").write_text("no image")
    picture(place.data / "dog" / "<script>alert(1)<script>.png", 9).rename(place.data / "dog" / "javascript;x=1.png")


@hostile(BALANCE, REFUSED, "cannot be read any more", before=LATER, slow=True, gone=VICTIM)
def file_that_vanishes_before_it_is_linked(place: Place) -> None:
    """A picture that is read and then removed by somebody else."""
    pictures(place.data)


@hostile("inspect {data} --json", DONE, "no such file", before=AT_ONCE, gone=VICTIM)
def file_that_vanishes_before_it_is_read(place: Place) -> None:
    """A picture that is listed and then removed."""
    pictures(place.data)


def vanish_at_once(root: Path) -> None:
    """Remove a picture once the folder was listed."""
    import evenscore.data.folder as folder

    listed = folder.list_images

    def list_and_remove(path: Path) -> object:
        found = listed(path)
        (root / "data" / "cat" / "1.png").unlink(missing_ok=True)
        return found

    folder.list_images = list_and_remove  # type: ignore[assignment]


def vanish_later(root: Path) -> None:
    """Remove a picture once the output is begun."""
    import evenscore.balancing.job as job

    quick_classifiers(root)
    write = job.write_real

    def remove_and_write(*given: object) -> object:
        (root / "data" / "cat" / "1.png").unlink()
        return write(*given)  # type: ignore[arg-type]

    job.write_real = remove_and_write  # type: ignore[assignment]


@hostile(INSPECT, DONE, "\\x1b")
def class_name_of_terminal_codes(place: Place) -> None:
    """A class name that would clear the screen and set the title of the window."""
    pictures(place.data, ("\x1b]0;owned\x07\x1b[2J", "dog"))


@hostile("inspect {data} --json", DONE, "skipped")
def file_name_that_is_no_text(place: Place) -> None:
    """File names of bytes that are not UTF-8, readable and not, printed as JSON."""
    pictures(place.data)
    folder = os.fsencode(place.data / "cat")
    Path(os.fsdecode(folder + b"/\xff\xfe.png")).write_bytes((place.data / "cat" / "0.png").read_bytes())
    Path(os.fsdecode(folder + b"/\xe9.png")).write_text("no image")


@hostile(INSPECT, DONE, "samples")
def half_a_character_as_class(place: Place) -> None:
    """Half of a surrogate pair as a class name, which cannot be printed as it is."""
    labelled(place.data, ("\ud800", "dog"))


@hostile("inspect {data} --json", DONE, "link that leaves the folder")
def file_link_outside(place: Place) -> None:
    """A picture that is a link to somebody else's."""
    pictures(place.data)
    (place.data / "cat" / "9.png").symlink_to(place.outside / "secret.png")


@hostile(INSPECT, REFUSED, "link that leaves the folder")
def folder_link_outside(place: Place) -> None:
    """A class folder that is a link to a guarded folder."""
    pictures(place.data)
    (place.data / "owl").symlink_to(place.outside)


@hostile(INSPECT, REFUSED, "leads outside")
def training_part_is_a_link_outside(place: Place) -> None:
    """A folder ``train`` that is a link to a data set of somebody else."""
    pictures(place.root / "outside" / "photos")
    place.data.mkdir()
    (place.data / "train").symlink_to(place.outside / "photos")


@hostile(INSPECT, REFUSED, "leads outside")
def held_out_part_is_a_link_outside(place: Place) -> None:
    """A folder ``test`` that is a link to a data set of somebody else."""
    pictures(place.root / "outside" / "photos")
    pictures(place.data / "train")
    (place.data / "test").symlink_to(place.outside / "photos")


@hostile(INSPECT, DONE, "6 samples")
def links_in_a_circle(place: Place) -> None:
    """Links to themselves, to one another and to the folder above."""
    pictures(place.data)
    (place.data / "loop").symlink_to("loop")
    (place.data / "cat" / "above").symlink_to("..")
    (place.data / "cat" / "one.png").symlink_to("two.png")
    (place.data / "cat" / "two.png").symlink_to("one.png")


@hostile("inspect {data} --json", DONE, "no regular file")
def pipe_as_picture(place: Place) -> None:
    """A named pipe that nobody writes to."""
    pictures(place.data)
    os.mkfifo(place.data / "cat" / "pipe.png")


@hostile("inspect {data} --json", DONE, "no regular file")
def socket_as_picture(place: Place) -> None:
    """A socket."""
    pictures(place.data)
    here = os.getcwd()
    os.chdir(place.data / "cat")
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("socket.png")
    finally:
        os.chdir(here)


@hostile("inspect {data} --json", DONE, "link that leaves the folder")
def device_as_picture(place: Place) -> None:
    """Links to devices that never end and never answer."""
    pictures(place.data)
    for name in ("zero", "random", "tty"):
        (place.data / "cat" / f"{name}.png").symlink_to(f"/dev/{name}")


@hostile(
    "restore {run} --task inpaint --input {data}/pipe.png --mask {data}/pipe.png --out {out}",
    REFUSED,
    "no regular file",
)
def pipe_to_restore(place: Place) -> None:
    """A named pipe as the picture to restore."""
    place.data.mkdir()
    _ = place.run
    os.mkfifo(place.data / "pipe.png")


@hostile(
    "restore {run} --task inpaint --input {data} --mask {root}/mask.png --out {out} --steps 2 --set particles=2",
    DONE,
    "",
    look=names_are_plain,
)
def long_and_strange_names_to_restore(place: Place) -> None:
    """Pictures whose names are as long as the file system takes, begin with a dash, or are reserved."""
    _ = place.run
    for k, name in enumerate(("a" * 250, "-rf", "CON", "two\nlines")):
        picture(place.data / f"{name}.png", k)
    import numpy as np
    from PIL import Image

    hole = np.zeros((8, 8), np.uint8)
    hole[:4] = 255
    Image.fromarray(hole).save(place.root / "mask.png")
