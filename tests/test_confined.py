"""Nothing below a folder leads out of it; the folder itself may be a link."""

from __future__ import annotations

from pathlib import Path

import pytest

from evenscore.checkpoint import write_atomic
from evenscore.confined import inside
from evenscore.errors import DataError


def test_links_that_stay_inside_are_fine(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "b").symlink_to("a")
    (tmp_path / "other name").symlink_to(root)
    assert inside(root, "a", "b", "none") is None
    assert inside(tmp_path / "other name", "a", "b", "none") is None


@pytest.mark.parametrize("target", ["..", "../elsewhere/none", "/"])
def test_links_that_lead_out_are_refused(tmp_path: Path, target: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").symlink_to(target)
    with pytest.raises(DataError, match="a is a link that leads outside .*root, which is never followed: remove it"):
        inside(root, "b", "a")


def test_a_file_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").symlink_to("../precious")
    import os

    (tmp_path / "out" / f".file.{os.getpid()}.part").symlink_to("../precious")
    write_atomic(tmp_path / "out" / "file", b"new")
    assert (tmp_path / "precious").read_text() == "mine"
    assert not (tmp_path / "out" / "file").is_symlink()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["file"]
