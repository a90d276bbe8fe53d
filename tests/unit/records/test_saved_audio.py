"""Listening files: one for each clip, whatever its id, and none that is of another run without a word."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
import torch

from bench import registry
from bench.api import Clip, Data, UserError
from bench.data.manifests import open_data
from bench.engine.run import Options, Run, run
from bench.records.saved_audio import file_names, saved

LONG = "x" * 5_000


@pytest.mark.parametrize(
    "ids",
    [
        ("a/b.wav", "a_b.wav", "a b.wav", "a\\b.wav"),
        ("A.wav", "a.wav"),
        ("é" * 300 + "1", "é" * 300 + "2"),
        (LONG, LONG + "y", "x" * 200),
        ("..", ".", "...", "-", "می‌روم", "میروم"),
        ("Straße", "STRASSE", "strasse"),
    ],
)
def test_each_id_has_a_name_of_its_own_that_any_file_system_takes(tmp_path: Path, ids: tuple[str, ...]) -> None:
    names = file_names(ids)
    assert len({name.casefold() for name in names.values()}) == len(ids)
    for name in names.values():
        assert "/" not in name and "\\" not in name and not name.startswith(".") and len(f"{name}.wav".encode()) <= 255
        (tmp_path / f"{name}.wav").touch()


def test_a_plain_id_is_the_name() -> None:
    assert file_names(["speech_1", "1089-134686-0001.flac"]) == {n: n for n in ("speech_1", "1089-134686-0001.flac")}


def ran(data: Data, folder: Path, name: str = "mulaw@8bit", seed: int = 0) -> Run:
    options = Options(folder / "results", workers=1, seed=seed, save_audio=folder / "audio")
    (done,) = run([registry.variant(name)], registry.load_suite("codes"), data, options)
    return done


def heard(folder: Path, label: str = "mulaw@8bit") -> dict[str, bytes]:
    """File -> its samples: libsndfile writes the time into the file, too."""
    return {path.name: soundfile.read(path)[0].tobytes() for path in (folder / "audio" / label).glob("*.wav")}


@pytest.fixture
def data(make_data: Callable[..., Path]) -> Data:
    return open_data(str(make_data(3, seconds=0.3)))


def index(folder: Path) -> dict[str, dict[str, str]]:
    lines = [json.loads(line) for line in (folder / "audio" / "index.jsonl").read_text().splitlines()]
    return {line["file"]: line for line in lines}


def test_the_index_says_what_each_file_is(tmp_path: Path, data: Data) -> None:
    assert ran(data, tmp_path).notes == ()
    entries = index(tmp_path)
    assert sorted(entries) == [f"{folder}/clip{i}.wav" for folder in ("mulaw@8bit", "original") for i in range(3)]
    assert entries["original/clip1.wav"]["clip"] == "clip1" and entries["original/clip1.wav"]["data"] == "data"


def test_what_is_kept_is_left_and_what_was_changed_is_written_again(tmp_path: Path, data: Data) -> None:
    ran(data, tmp_path)
    before = heard(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "audio").glob("*/*.wav")}
    changed, gone = tmp_path / "audio" / "mulaw@8bit" / "clip0.wav", tmp_path / "audio" / "original" / "clip1.wav"
    soundfile.write(changed, torch.zeros(100).numpy(), 8000)
    gone.unlink()
    assert ran(data, tmp_path).notes == ()
    assert heard(tmp_path) == before and gone.exists()
    assert {path for path, time in times.items() if path.stat().st_mtime_ns != time} >= {changed, gone}
    assert len([path for path, time in times.items() if path.stat().st_mtime_ns == time]) == 3  # clip2's, and clip0's original


def test_another_seed_replaces_the_files_and_says_so(tmp_path: Path, data: Data) -> None:
    ran(data, tmp_path)
    keys = {file: line["made_by"] for file, line in index(tmp_path).items()}
    assert ran(data, tmp_path, seed=1).notes == (
        f"{tmp_path / 'audio' / 'mulaw@8bit'}: 3 files were made otherwise (other weights, code, seed or clip) and are replaced, "
        f"see {tmp_path / 'audio' / 'index.jsonl'}",
    )
    now = {file: line["made_by"] for file, line in index(tmp_path).items()}
    assert {file for file in now if now[file] != keys[file]} == {f"mulaw@8bit/clip{i}.wav" for i in range(3)}


def test_other_data_of_the_same_ids_never_pass_for_these(tmp_path: Path, data: Data, make_data: Callable[..., Path]) -> None:
    ran(data, tmp_path)
    before = heard(tmp_path)
    other = make_data(5, seconds=0.5, name="other")
    assert "3 files were made otherwise" in ran(open_data(str(other)), tmp_path).notes[0]
    now = heard(tmp_path)
    assert len(now) == 5 and not set(now.values()) & set(before.values())
    replaced, left = ran(data, tmp_path).notes
    assert "3 files were made otherwise" in replaced and "2 files belong to other clips" in left
    assert {name: content for name, content in heard(tmp_path).items() if name in before} == before


def test_a_file_that_no_index_knows_is_written_again(tmp_path: Path, data: Data) -> None:
    ran(data, tmp_path)
    before = heard(tmp_path)
    (tmp_path / "audio" / "index.jsonl").write_text("torn {\n")
    shutil.copyfile(tmp_path / "audio" / "original" / "clip0.wav", tmp_path / "audio" / "mulaw@8bit" / "clip1.wav")
    ran(data, tmp_path)
    assert heard(tmp_path) == before and len(index(tmp_path)) == 6


def test_a_long_id_has_rows_and_a_file(tmp_path: Path, data: Data) -> None:
    first = data.clips[0]
    long = Data("long", (Clip(LONG * 40, first.path, first.sha256),), "0")  # longer than a cell of a CSV file is by default
    done = ran(long, tmp_path)
    assert len(heard(tmp_path)) == 1
    assert (
        [row.clip for row in ran(long, tmp_path).rows if row.metric == "seconds"]
        == [LONG * 40]
        == [row.clip for row in done.rows if row.metric == "seconds"]
    )


def test_saved_audio_is_that_of_the_very_run_and_of_no_other(tmp_path: Path, data: Data) -> None:
    identity = json.loads((ran(data, tmp_path).folder / "run.json").read_text())["identity"]
    found = saved(tmp_path / "audio", identity, data.clips)
    assert list(found.clips) == [clip.id for clip in data.clips]
    assert found.reconstruction("clip1") == tmp_path / "audio" / "mulaw@8bit" / "clip1.wav" and found.original("clip1").is_file()
    assert list(saved(tmp_path / "audio", identity, data.clips, only=["clip2"]).clips) == ["clip2"]
    assert saved(tmp_path / "audio", {**identity, "seed": 1}, data.clips).clips == {}
    found.reconstruction("clip1").write_bytes(b"something else")
    assert "clip1" not in saved(tmp_path / "audio", identity, data.clips).clips
    with pytest.raises(UserError, match="no saved audio is there"):
        saved(tmp_path / "nowhere", identity, data.clips)
