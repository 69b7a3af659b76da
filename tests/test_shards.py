"""Shards: tar files that webdataset reads, the same after an interruption, and read back batch by batch."""

from __future__ import annotations

import io
import json
import tarfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evenscore import Run, Sampler, TrainConfig, load, train
from evenscore.balancing import BalanceConfig, balance
from evenscore.cli import main
from evenscore.errors import DataError, RunError, UsageError
from evenscore.evaluation import of_files
from evenscore.sampling.files import SampleJob, sample_files
from evenscore.shards import Shards, read_shard, shards_in
from evenscore.writing import Piece
from tests.judges import brief_judges

DATA = "digits:factor=50"
HOW = Sampler("ddim", nfe=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("shards") / "run"
    settings = {"network": "tiny", "batch_size": 16, "previews": 0, "precision": "float32", "steps": 10}
    list(train(load(DATA), path, TrainConfig.from_mapping(settings)))
    return Run.open(path)


def samples(root: Path) -> dict[str, dict[str, bytes]]:
    """Samples as webdataset groups them: members that share the name before the first dot, which stand together."""
    found: dict[str, dict[str, bytes]] = defaultdict(dict)
    for path in shards_in(root):
        with tarfile.open(path) as tar:
            for member in tar.getmembers():
                file = tar.extractfile(member)
                assert file is not None
                key, _, suffix = member.name.partition(".")
                assert key not in found or key == list(found)[-1]
                found[key][suffix] = file.read()
    return dict(found)


def contents(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in shards_in(root)}


def job(form: str = "webdataset", **other: Any) -> SampleJob:
    return SampleJob((5,) * 10, HOW, format=form, batch_size=8, per_shard=16, **other)


def test_shards_hold_what_the_folder_holds(run: Run, tmp_path: Path) -> None:
    for form in ("webdataset", "png"):
        list(sample_files(run, tmp_path / form, job(form)))
    found = samples(tmp_path / "webdataset")
    lines = [json.loads(line) for line in (tmp_path / "png" / "metadata.jsonl").read_text().splitlines()]
    assert len(found) == len(lines) == 50
    assert [path.name for path in shards_in(tmp_path / "webdataset")] == [f"shard-{i:06d}.tar" for i in range(4)]
    for line, (key, parts) in zip(lines, found.items(), strict=True):
        assert line["file_name"].endswith(f"/{key}.png")
        assert parts["png"] == (tmp_path / "png" / line["file_name"]).read_bytes()
        assert run.card.class_names[int(parts["cls"])] == line["label"]
        record = json.loads(parts["json"])
        assert {**record, "file_name": ""} == {**line, "file_name": ""}
    assert json.loads((tmp_path / "webdataset" / "classes.json").read_text()) == list(run.card.class_names)


@pytest.mark.parametrize("after", [1, 3, 4, 6])
def test_an_interrupted_job_goes_on_after_the_last_complete_shard(run: Run, tmp_path: Path, after: int) -> None:
    list(sample_files(run, tmp_path / "whole", job()))
    asked = iter([False] * (after - 1) + [True])
    done = list(sample_files(run, tmp_path / "broken", job(), lambda: next(asked)))
    assert done[-1][0] == 8 * after
    assert len(shards_in(tmp_path / "broken")) == after // 2
    assert not list((tmp_path / "broken").glob(".shard*")), "nothing is left of the shard in hand"
    stray = tmp_path / "broken" / "shard-000003.tar"
    stray.write_bytes(b"of a job that was killed before it counted this one")
    assert list(sample_files(run, tmp_path / "broken", job()))[-1] == (50, 50)
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")
    assert list(sample_files(run, tmp_path / "broken", job())) == [(50, 50)]


def test_a_balanced_set_in_shards_is_that_in_files_and_goes_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brief_judges(monkeypatch)
    data = load(DATA)
    made = {
        form: BalanceConfig(20, run.path, sampler=HOW, batch_size=8, tries=2, format=form, per_shard=12)
        for form in ("webdataset", "png")
    }
    for form, config in made.items():
        list(balance(data, tmp_path / form, config))
    found = samples(tmp_path / "webdataset")
    lines = [json.loads(line) for line in (tmp_path / "png" / "metadata.jsonl").read_text().splitlines()]
    assert [json.loads(parts["json"])["label"] for parts in found.values()] == [line["label"] for line in lines]
    for line, parts in zip(lines, found.values(), strict=True):
        assert parts["png"] == (tmp_path / "png" / line["file_name"]).read_bytes()
    assert any(line["synthetic"] for line in lines)
    summaries = [json.loads((tmp_path / form / "summary.json").read_text()) for form in made]
    assert summaries[0] == summaries[1]
    stages = 0

    def stop() -> bool:
        nonlocal stages
        stages += 1
        return stages == 5

    assert [stage.name for stage in balance(data, tmp_path / "broken", made["webdataset"], stop)][-1] == "stopped"
    assert [stage.name for stage in balance(data, tmp_path / "broken", made["webdataset"])][-1] == "done"
    assert contents(tmp_path / "broken") == contents(tmp_path / "webdataset")


def test_synthetic_images_in_shards_are_judged_batch_by_batch(tmp_path: Path) -> None:
    shards = Shards.at(tmp_path, ("a", "b"), 4)
    images = np.random.default_rng(0).integers(0, 256, (14, 6, 6), dtype=np.uint8)
    pieces = []
    for i, image in enumerate(images):
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, format="PNG")
        record = {"label": "ab"[i % 2], "synthetic": i > 3}
        pieces.append(Piece(i % 2, f"x-{i}", ".png", buffer.getvalue(), record))
    assert shards.add(pieces) == 4
    generated = of_files(tmp_path, 4)
    assert (generated.class_names, generated.shape, generated.counts) == (("a", "b"), (1, 6, 6), (4, 4))
    assert generated.notes == (f"only the 8 images marked as synthetic in {tmp_path} are judged",)
    (part,) = generated.parts()
    assert part.labels.tolist() == [0, 1] * 4
    assert (part.x[:, 0].numpy() * 127.5 + 127.5).round().astype(np.uint8).tolist() == images[4:12].tolist()


def test_what_is_wrong_with_shards_is_said_in_one_sentence(tmp_path: Path, run: Run) -> None:
    shards = Shards.at(tmp_path, ("a",), 4)
    with pytest.raises(RunError, match="holds fewer than the 2 shards that were written: remove"):
        shards.truncate(2)
    (tmp_path / "shard-000000.tar").write_bytes(b"no tar file at all")
    with pytest.raises(DataError, match="shard .* cannot be read .*: restore it, or write the folder again"):
        list(read_shard(tmp_path / "shard-000000.tar"))
    with pytest.raises(DataError, match="cannot be read"):
        of_files(tmp_path)
    (tmp_path / "classes.json").write_text('{"a": 1}')
    with pytest.raises(DataError, match="is no list of class names: restore it"):
        of_files(tmp_path)
    with pytest.raises(UsageError, match="per_shard=0 cannot be used: per_shard must be at least 1"):
        SampleJob((1,), HOW, format="webdataset", per_shard=0)


def test_the_size_of_shards_is_for_shards(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sample", str(run.path), "--out", str(tmp_path / "out"), "--per-shard", "5"])
    assert ended.value.code == 2
    assert "--per-shard is for --format webdataset, and --format is png: leave it out" in capsys.readouterr().err
