"""Shards, merged, are the run that was never cut; what is missing is named, and what cannot be cut is refused in one line."""

import json
import os
import resource
import shutil
import subprocess
from pathlib import Path

import pytest

from bench import registry
from bench.api import Row, Suite, UserError, Variant
from bench.cli import main
from bench.data.manifests import open_data
from bench.engine.merging import _each_once, allow_open
from bench.engine.run import Options, identity, run
from bench.evaluators.transcripts import COLUMNS, Transcripts
from bench.records.reader import folders
from bench.records.shards import Shard, shard_of
from bench.records.specs import spec_of
from tests.conftest import ROOT

CLIPS = ["--limit", "7", "--workers", "1", "-q"]
TOKENIZERS = ["--tokenizer", "mulaw,shuffled"]


def bench(results: Path, *words: str) -> int:
    return main(["run", *TOKENIZERS, *CLIPS, "--results", str(results), *words])


def kept(results: Path) -> dict[str, bytes]:
    """The rows of every whole run, by suite and folder."""
    return {path.parent.relative_to(results).as_posix(): path.read_bytes() for path in results.glob("*/*/rows.csv")}


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("single")
    assert bench(results) == 0
    return results


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three shards on two machines: results folders that know nothing of each other. The last comes first."""
    root = tmp_path_factory.mktemp("parts")
    for number, place in ((3, "one"), (1, "two"), (2, "two")):
        assert bench(root / place, "--shard", f"{number}/3") == 0
    return root


def test_merged_shards_are_the_rows_of_a_single_run_byte_by_byte(single: Path, parts: Path, tmp_path: Path) -> None:
    assert main(["merge", str(parts / "one"), str(parts / "two"), "--results", str(tmp_path)]) == 0
    assert kept(tmp_path) == kept(single) and len(kept(single)) == 2
    entropy = [line for rows in kept(tmp_path).values() for line in rows.splitlines() if b"kbps_entropy" in line]
    assert len(entropy) >= 2  # what is pooled over all clips is there
    assert main(["merge", str(parts / "one"), str(parts / "two"), "--results", str(tmp_path)]) == 0  # once more
    assert kept(tmp_path) == kept(single)


def test_a_merged_run_is_a_finished_run(parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["merge", str(parts / "one"), str(parts / "two"), "--results", str(tmp_path)])
    before = kept(tmp_path)
    assert bench(tmp_path, "--format", "csv") == 0 and kept(tmp_path) == before
    capsys.readouterr()
    assert main(["runs", "--results", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["clips"], one["state"]) for one in found] == [(7, "finished")] * 2
    record = json.loads(next(tmp_path.glob("reconstruction/mulaw*/run.json")).read_text())
    assert [part["shard"] for part in record["shards"]] == ["1/3", "2/3", "3/3"] and "shard" not in record


def test_shards_are_no_runs_before_they_are_merged(parts: Path) -> None:
    with pytest.raises(UserError, match="no run in"):
        folders(parts / "two")


def test_missing_and_unfinished_shards_are_named(parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(parts / "two", tmp_path, dirs_exist_ok=True)
    assert main(["merge", "--results", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "shuffled" in said and "mulaw" in said and "3/3 missing" in said
    rows = next(tmp_path.glob("reconstruction/mulaw*/shards/2-of-3/rows.csv"))
    lines = rows.read_text().splitlines(keepends=True)
    rows.write_text("".join(line for line in lines if ",seconds," not in line))
    assert main(["merge", str(parts / "one"), str(tmp_path), "--results", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert "2/3 has not finished (2 of 2 clips are to do)" in said.err and "shuffled" not in said.err
    assert list(kept(tmp_path)) and all("shuffled" in name for name in kept(tmp_path))  # the one that is whole is merged


def test_no_shard_at_all_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", "--results", str(tmp_path)]) == 2
    assert "no shard in" in capsys.readouterr().err


def test_shards_that_disagree_are_not_merged() -> None:
    a = Row("*", "speech", "", "oov", 0.5)
    assert list(_each_once([a, a])) == [a]
    nan = Row("*", "speech", "", "oov", float("nan"))
    assert len(list(_each_once([nan, Row("*", "speech", "", "oov", float("nan"))]))) == 1
    with pytest.raises(UserError, match="two shards differ in oov"):
        list(_each_once([a, Row("*", "speech", "", "oov", 0.6)]))


def test_a_shard_goes_on_where_it_stopped(parts: Path, single: Path, tmp_path: Path) -> None:
    shutil.copytree(parts / "one", tmp_path, dirs_exist_ok=True)
    shutil.copytree(parts / "two", tmp_path, dirs_exist_ok=True)
    for rows in tmp_path.glob("*/*/shards/3-of-3/rows.csv"):
        lines = rows.read_text().splitlines(keepends=True)
        rows.write_text("".join(lines[: len(lines) // 2]))
        (rows.parent / "codes.json").unlink()
    assert bench(tmp_path, "--shard", "3/3") == 0
    assert main(["merge", "--results", str(tmp_path)]) == 0 and kept(tmp_path) == kept(single)


@pytest.mark.parametrize(
    ("suite", "said"),
    [("codes", "makes .* of all clips at once"), ("probe", "all clips at once"), ("throughput", "leave --shard out")],
)
def test_what_cannot_be_cut_is_refused(suite: str, said: str, tmp_path: Path) -> None:
    how = Options(tmp_path, workers=1, shard=Shard(1, 2))
    with pytest.raises(UserError, match=said):
        list(run([registry.variant("mulaw")], registry.load_suite(suite), open_data("mini", 4), how))
    assert not list(tmp_path.iterdir())


def test_more_shards_than_clips_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has 2 clips"):
        list(run([registry.variant("mulaw")], registry.load_suite("mcd"), open_data("mini", 2), Options(tmp_path, shard=Shard(1, 3))))


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "-1/3"])
def test_a_shard_is_i_of_n(text: str) -> None:
    with pytest.raises(ValueError, match="must be i/n"):
        shard_of(text)


def test_shards_are_all_clips_each_once() -> None:
    clips = open_data("mini").clips
    found = [clip.id for number in range(1, 6) for clip in Shard(number, 5).clips(clips)]
    assert sorted(found) == sorted(clip.id for clip in clips) and shard_of("2/5") == Shard(2, 5)


def variants() -> list[Variant]:
    return [variant for family in registry.families().values() for variant in family.values()]


def test_the_spec_in_an_identity_is_the_spec(tmp_path: Path) -> None:
    suite: Suite = registry.load_suite("mcd")
    data = open_data("mini", 2)
    for variant in variants():
        found = identity(variant, suite, data, Options(tmp_path))["tokenizer"]
        spec = spec_of(json.loads(json.dumps(found)))
        for fact in ("label", "tables", "bits_once", "decodes", "weights", "channels", "sample_rate", "longest", "keeps_level"):
            assert getattr(spec, fact) == getattr(variant.spec, fact), (variant.spec.label, fact)
        assert repr(spec.bitrate) == repr(variant.spec.bitrate)


def test_transcripts_of_shards_are_joined_and_sorted(tmp_path: Path) -> None:
    for name, clips in (("1", "ca"), ("2", "b")):
        (tmp_path / name).mkdir()
        file = Transcripts(tmp_path / name, fresh=True)
        for clip in clips:
            file.keep(clip, "en", f"text of {clip}, said", "x", "y")
        file.finish()
    (tmp_path / "whole").mkdir()
    Transcripts.join([tmp_path / "2", tmp_path / "1"], tmp_path / "whole")
    lines = (tmp_path / "whole" / "transcripts.csv").read_text().splitlines()
    assert lines == [",".join(COLUMNS), *(f'{clip},en,"text of {clip}, said",x,y' for clip in "abc")]


def test_the_sbatch_file_runs_its_part(tmp_path: Path) -> None:
    shim = tmp_path / "bench"
    shim.write_text('#!/bin/bash\necho "$@"\n')
    shim.chmod(0o755)
    slurm = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "8", "TOKENIZER": "mimi", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["bash", str(ROOT / "docs" / "slurm" / "shards.sbatch")]
    said = subprocess.run(command, env=slurm, capture_output=True, text=True, check=True).stdout
    assert said.split()[:9] == "run --tokenizer mimi --data mini --suite reconstruction --shard 3/8".split()
    lonely = subprocess.run(command, env={"PATH": slurm["PATH"]}, capture_output=True, text=True)
    assert lonely.returncode and "sbatch --array=1-8" in lonely.stderr


def test_more_shards_than_open_files_are_merged_as_far_as_the_system_lets(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    low = len(os.listdir("/dev/fd")) + 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (low, hard))
    try:
        allow_open(low)
        opened = [(tmp_path / f"{i}").open("w") for i in range(low)]
        for file in opened:
            file.close()
        with pytest.raises(UserError, match="raise ulimit -Hn"):
            allow_open(hard + 1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
