"""The data card beside a balanced data set: ``README.md``, Markdown under a YAML head that data hubs read.

Law: whatever the records hold, it is text on the card: names are escaped for Markdown, for HTML inside it, and for YAML.
The licence is left out, because only the owner of the source knows it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from evenscore.errors import DataError
from evenscore.report import words
from evenscore.report.records import BalanceReport, ClassReport
from evenscore.report.words import number

TAGS = ("synthetic", "class-imbalance", "long-tailed", "diffusion", "evenscore")
SIZES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"), (1e7, "1M<n<10M"))
LARGEST = "n>10M"
HEADINGS = ("Class", "Group", "Real", "Kept", "Synthetic", "Wanted", "Candidates", "Copies", "Mislabelled", "Agreement")
METADATA = """\
Every file has one line in `metadata.jsonl`, a JSON object with these fields:

| Field | Meaning |
| :-- | :-- |
| `file_name` | path of the file below this folder |
| `label` | its class |
| `synthetic` | `true` for a generated sample, `false` for one of the source |
| `seed` | seed of the generated sample; `null` for a real one |
| `run` | the training run that generated it; `null` for a real one |
| `scores` | what the filter measured on it; `null` for a real one |

```python
import json

with open("metadata.jsonl", encoding="utf-8") as lines:
    records = [json.loads(line) for line in lines]
real = [record for record in records if not record["synthetic"]]
```
"""
WARNINGS = (
    "Synthetic samples are for training. Test and validate on real ones only.",
    "Synthetic samples repeat what the real ones of their class show, faults included; they add no new evidence on a "
    "class with few real samples.",
    "The filter finds near-copies by distance in pixels or values; it does not prove that nothing was memorised.",
)


def balance_card(report: BalanceReport) -> str:
    """The data card as Markdown text."""
    parts = [
        _head(report),
        f"# {markdown(report.title)}",
        "\n".join(f"{markdown(line)}" for line in words.summary(report)),
        f"Source: {markdown(report.source)}. Created: {markdown(report.created)}. Pictures and charts: `index.html`.",
        "## Classes",
        _table(report),
        "## Synthetic or real",
        METADATA.strip(),
        "## Warnings",
        _warnings(report),
        "## How it was made",
        _made(report),
    ]
    if report.protocol:
        parts += ["## Label agreement", markdown(report.protocol)]
    return "\n\n".join(parts) + "\n"


def write_card(path: str | Path, report: BalanceReport) -> None:
    """Write the card to ``path``.

    Raises:
        DataError: the file cannot be written.
    """
    try:
        Path(path).write_text(balance_card(report), encoding="utf-8", newline="\n")
    except OSError as error:
        raise DataError(
            f"the card {str(path)!r} cannot be written ({error.strerror}): free space or choose another place"
        ) from error


def markdown(text: str) -> str:
    """Text as Markdown that shows it literally, in a paragraph or a cell of a table."""
    safe = words.plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]#|!~$]|:(?=//)|(?<=www)\.|@)", r"\\\1", safe)


def scalar(text: str) -> str:
    """Text as a double-quoted YAML scalar, on one line."""
    quoted = json.dumps(words.plain(text), ensure_ascii=False)
    return re.sub("[\\u007f-\\u009f\\u2028\\u2029\\ufeff\\ufffe\\uffff]", lambda c: f"\\u{ord(c[0]):04x}", quoted)


def size_category(n: int) -> str:
    """The size class that data hubs use, such as ``1K<n<10K``."""
    return next((name for bound, name in SIZES if n < bound), LARGEST)


def _head(report: BalanceReport) -> str:
    image = report.noun == "image"
    lines = [
        f"pretty_name: {scalar(report.title)}",
        "task_categories:",
        f"- {'image' if image else 'tabular'}-classification",
        "size_categories:",
        f"- {size_category(report.total('size'))}",
        "tags:",
        *(f"- {tag}" for tag in TAGS),
    ]
    return "\n".join(["---", *lines, "---"])


def _table(report: BalanceReport) -> str:
    total = ["real", "kept", "made", "wanted", "candidates", "copies", "mislabelled"]
    rows = [_cells(each) for each in report.classes]
    rows.append(["All", "", *(number(report.total(key)) for key in total), ""])
    rule = [":--", ":--", *["--:"] * 7, ":--"]
    lines = [list(HEADINGS), rule, *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _cells(each: ClassReport) -> list[str]:
    counts = (each.real, each.kept, each.made, each.wanted, each.candidates, each.copies, each.mislabelled)
    return [markdown(each.name), markdown(each.group), *map(number, counts), words.agreement(each)]


def _warnings(report: BalanceReport) -> str:
    doubts = [f"Trust {doubt.name} less: {words.join(doubt.reasons)}." for doubt in words.doubts(report)]
    notes = [f"{each.name}: {each.note}" for each in report.classes if each.note]
    return "\n".join(f"- {markdown(line)}" for line in [*WARNINGS, *doubts, *report.notes, *notes])


def _made(report: BalanceReport) -> str:
    settings = [f"- {markdown(key)}: {markdown(value)}" for key, value in report.settings.items()]
    longest = max((len(run) for run in re.findall("`+", report.command)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}sh", words.plain(report.command), fence, "", *settings]).rstrip()
