"""Options of the command line for a training that takes seconds and is the same on every machine."""

from __future__ import annotations


def small(previews: int = 0) -> list[str]:
    """A tiny network and batch; nothing that would be measured and chosen is left open."""
    settings = ("batch_size=16", f"previews={previews}", "precision=float32", "memory_format=channels_last")
    return ["--network", "tiny", *(word for setting in settings for word in ("--set", setting))]
