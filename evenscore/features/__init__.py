"""Feature maps: what samples are compared in; and what was computed of a reference, kept by content hash."""

from __future__ import annotations

from evenscore.features.base import Features, Seen, join
from evenscore.features.cache import Cache, default_folder
from evenscore.features.sources import FEATURES, PARTS, View, named, reference_part, reference_seen, views

__all__ = [
    "FEATURES",
    "PARTS",
    "Cache",
    "Features",
    "Seen",
    "View",
    "default_folder",
    "join",
    "named",
    "reference_part",
    "reference_seen",
    "views",
]
