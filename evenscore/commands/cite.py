"""``evenscore cite``."""

from __future__ import annotations

from pathlib import Path

from evenscore.citations import citations
from evenscore.commands.terminal import emit, say
from evenscore.run import FINISHED, Run


def run(path: Path, as_json: bool) -> None:
    """Print the BibTeX of what a run used, each entry below a comment that says for what."""
    found = Run.open(path)
    cited = citations(found.config, found.distilled is not None, (path / FINISHED).exists())
    if as_json:
        entries = [{"key": one.key, "for": one.reason, "bibtex": one.bibtex} for one in cited]
        emit({"run": str(path), "entries": entries})
        return
    print("\n\n".join(f"% {one.reason}\n{one.bibtex}" for one in cited))
    say("cite your data too, and other solvers or guidance that you sampled with; evenscore itself: CITATION.cff")
