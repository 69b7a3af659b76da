"""The folder of a comparison: the record of its job, and one file for each finished part.

    job.json          what was asked: a folder holds one job, which may grow by recipes and seeds
    measured.json     network, precision, costs and the baseline's steps, measured once
    parts/            a file for each judged run, and for each run that chose
    failures/         a sentence for each run that failed; gone when it has succeeded
    pictures/         samples of the first seed
    runs/             runs that are being trained, or all of them where they are kept
    features/         fitted features, and what they see of real data
    comparison.json, comparison.md, index.html

Law: a file is complete or absent, and its name changes with everything that it depends on. So the work of a process that was
killed at any instant goes on where it was, and ends with the same table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenscore.checkpoint import PARTIAL, make_folder, write_atomic
from evenscore.confined import inside
from evenscore.errors import DataError, RunError
from evenscore.reading import STATE, parse_json, read_text

LOCK, JOB = "lock", "job.json"
DATA = ("data", "judging data")
"""Keys of a job that hold fingerprints."""
SUBFOLDERS = ("parts", "failures", "pictures", "runs")
FEATURES = "features"


@dataclass(frozen=True)
class Folder:
    """A folder of finished parts."""

    root: Path

    @classmethod
    def begin(cls, root: Path) -> Folder:
        """The folder at ``root``, made where it is not there.

        Raises:
            DataError: it holds something else, cannot be written, or a folder in it is a link that leads out of it.
        """
        inside(root, *SUBFOLDERS, FEATURES)
        ours = (LOCK, *SUBFOLDERS)
        strange = not root.is_dir() or any(p.name not in ours and not p.name.endswith(PARTIAL) for p in root.iterdir())
        if root.exists() and strange and not (root / JOB).is_file():
            raise DataError(f"--out {root} exists and holds no comparison: choose a new folder, nothing is overwritten")
        for name in SUBFOLDERS:
            make_folder(root / name)
        return cls(root)

    def claim(self, job: Mapping[str, Any]) -> None:
        """Record the job, or go on with it: recipes may be added, everything else must be as it was.

        Args:
            job: in terms of JSON, with recipes as a mapping from titles under ``recipes``.

        Raises:
            RunError: another job, or a record that cannot be read; the sentence names the difference.
        """
        self.check(job)
        kept = (self.read(JOB) or {}).get("recipes", {})
        self.write(JOB, {**job, "recipes": kept | job["recipes"]})

    def check(self, job: Mapping[str, Any]) -> None:
        """Refuse a job that is not the folder's; a folder without one takes any.

        Raises:
            RunError: as :meth:`claim`.
        """
        kept, asked = self.read(JOB), json.loads(json.dumps(job))
        if kept is None:
            return
        recipes = kept.get("recipes")
        if not isinstance(recipes, dict) or not all(isinstance(recipe, dict) for recipe in recipes.values()):
            raise self.damaged(JOB)
        for key in dict.fromkeys([*kept, *asked]):
            if key in DATA and kept.get(key) != asked.get(key):
                raise RunError(f"{self.root} holds a comparison on other data: give that data, or choose another --out")
            if key != "recipes" and kept.get(key) != asked.get(key):
                raise self._another(f"{key}={kept.get(key)}", f"{key}={asked.get(key)}")
        for title in [title for title in asked["recipes"] if title in kept["recipes"]]:
            mine, now = kept["recipes"][title], asked["recipes"][title]
            for key in dict.fromkeys([*mine, *now]):
                if mine.get(key) != now.get(key):
                    raise self._another(f"{title!r} as {key}={mine.get(key)}", f"{key}={now.get(key)}")

    def _another(self, held: str, asked: str) -> RunError:
        return RunError(
            f"{self.root} holds a comparison with {held}, now {asked} was asked: give the same command to go on, or choose "
            "another --out"
        )

    def read(self, name: str) -> Any:
        """The mapping in a JSON file, None where it is not there.

        Raises:
            RunError: it cannot be understood.
        """
        try:
            found = parse_json(read_text(self.root / name, STATE))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            raise self.damaged(name) from None
        if not isinstance(found, dict):
            raise self.damaged(name)
        return found

    def damaged(self, name: str) -> RunError:
        """The error for a file that cannot be understood."""
        return RunError(f"{self.root / name} cannot be understood: remove it and give the command again")

    def write(self, name: str, content: Any) -> None:
        """Write a JSON file, atomically.

        Raises:
            DataError: the disk is full.
        """
        write_atomic(self.root / name, json.dumps(content, ensure_ascii=False, indent=1).encode())

    def part(self, name: str) -> Any:
        """What a finished run left, None before it is finished."""
        return self.read(f"parts/{name}.json")

    def has(self, name: str) -> bool:
        """Whether a run is finished."""
        return (self.root / "parts" / f"{name}.json").is_file()

    def finish(self, name: str, content: Any) -> None:
        """Keep a finished run, and forget that it failed before."""
        self.write(f"parts/{name}.json", content)
        self.forget(name)

    def forget(self, name: str) -> None:
        """Forget that a run failed."""
        (self.root / "failures" / f"{name}.json").unlink(missing_ok=True)

    def fail(self, name: str, sentence: str) -> None:
        """Keep why a run failed, with paths as they are seen from the folder: it may be moved."""
        self.write(f"failures/{name}.json", {"sentence": sentence.replace(f"{self.root}/", "")})

    def failure(self, name: str) -> str | None:
        """Why a run failed, None where it did not, or has succeeded since."""
        found = None if self.has(name) else self.read(f"failures/{name}.json")
        return None if found is None else str(found.get("sentence"))

    def run(self, name: str) -> Path:
        """The folder in which a run is trained.

        Raises:
            DataError: it is a link that leads out of the comparison.
        """
        inside(self.root, f"runs/{name}")
        return self.root / "runs" / name
