"""Audio that was hashed before is not read again, unless it changed; what is noted of it is never trusted blindly."""

import ast
import copy
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.api import Clip, UserError
from bench.data import known
from bench.data.clips import Clips, packed, select
from bench.data.manifests import open_data
from bench.data.on_disk import OnDisk

MANY = known.FILES


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "known"


def folder_of(place: Path, count: int = MANY, age: float = 60.0) -> Path:
    """So many files that are called audio, changed so many seconds ago."""
    for i in range(count):
        path = place / f"s{i % 7}" / f"{i:06}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"RIFF%06dWAVE" % i)
        aged(path, age)
    return place


def aged(path: Path, age: float = 60.0) -> None:
    os.utime(path, (time.time() - age, time.time() - age))


def manifest_of(folder: Path) -> Path:
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.wav"))
    lines = [json.dumps({"path": path, "speaker": path[:2], "text": "naïve\u2028 text"}) for path in paths]
    (folder / "manifest.jsonl").write_text("\n".join(lines))
    return folder / "manifest.jsonl"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many files were read since it was asked last."""
    import hashlib

    count, whole = [0], hashlib.file_digest

    def counted(*words: object) -> object:
        count[0] += 1
        return whole(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(hashlib, "file_digest", counted)

    def since() -> int:
        found, count[0] = count[0], 0
        return found

    return since


@pytest.mark.parametrize("form", ["folder", "manifest"])
def test_audio_is_read_once(tmp_path: Path, hashed: Callable[[], int], form: str) -> None:
    folder = folder_of(tmp_path / "data")
    source = str(folder if form == "folder" else manifest_of(folder))
    first = open_data(source)
    assert hashed() == MANY
    again = open_data(source)
    assert hashed() == 0 and again == first and len(again.clips) == MANY


@pytest.mark.parametrize("form", ["folder", "manifest"])
def test_a_file_that_changed_is_read_again_and_no_other(tmp_path: Path, hashed: Callable[[], int], form: str) -> None:
    folder = folder_of(tmp_path / "data")
    source = str(folder if form == "folder" else manifest_of(folder))
    first = open_data(source)
    hashed()
    (folder / "s0/000000.wav").write_bytes(b"RIFF000001WAVE")  # as long as before
    aged(folder / "s0/000000.wav", 30)
    second = open_data(source)
    assert hashed() == 1 and second.sha256 != first.sha256
    assert [a.id for a, b in zip(first.clips, second.clips, strict=True) if a != b] == ["s0/000000.wav"]
    assert open_data(source) == second and hashed() == 0


def test_a_file_that_changed_just_now_may_have_changed_again(tmp_path: Path, hashed: Callable[[], int]) -> None:
    folder = folder_of(tmp_path / "data")
    aged(folder / "s0/000000.wav", 0)
    open_data(str(folder))
    hashed()
    open_data(str(folder))
    assert hashed() == 1


def test_files_that_come_and_go_are_noticed(tmp_path: Path, hashed: Callable[[], int]) -> None:
    folder = folder_of(tmp_path / "data")
    first = open_data(str(folder))
    hashed()
    (folder / "new.wav").write_bytes(b"RIFFnewWAVE")
    aged(folder / "new.wav")
    assert len(open_data(str(folder)).clips) == MANY + 1 and hashed() == 1
    (folder / "new.wav").unlink()
    assert open_data(str(folder)) == first and hashed() == 0


def test_a_manifest_that_changed_is_read_again_and_its_audio_is_not(tmp_path: Path, hashed: Callable[[], int]) -> None:
    manifest = manifest_of(folder_of(tmp_path / "data"))
    open_data(str(manifest))
    hashed()
    manifest.write_text(manifest.read_text().replace('"s0"', '"anna"'))
    assert open_data(str(manifest)).clips[0].speaker == "anna" and hashed() == 0


def test_what_a_manifest_states_is_not_taken_for_what_was_found(tmp_path: Path, hashed: Callable[[], int]) -> None:
    manifest = manifest_of(folder_of(tmp_path / "data"))
    without = manifest.read_text()
    stated = [json.dumps({**json.loads(line), "sha256": f"{i:064x}"}) for i, line in enumerate(without.split("\n"))]
    manifest.write_text("\n".join(stated))
    assert open_data(str(manifest)).clips[1].sha256 == f"{1:064x}" and hashed() == 0
    manifest.write_text(without)
    assert open_data(str(manifest)).clips[1].sha256 != f"{1:064x}" and hashed() == MANY


def test_verify_reads_everything_again(tmp_path: Path, hashed: Callable[[], int]) -> None:
    folder = folder_of(tmp_path / "data")
    first = open_data(str(folder))
    facts = (folder / "s0/000000.wav").stat()
    (folder / "s0/000000.wav").write_bytes(b"RIFF000001WAVE")
    os.utime(folder / "s0/000000.wav", ns=(facts.st_atime_ns, facts.st_mtime_ns))  # as a copy that keeps times does
    hashed()
    assert open_data(str(folder)) == first and hashed() == 0
    verified = open_data(str(folder), verify=True)
    assert hashed() == MANY and verified != first
    assert open_data(str(folder)) == verified and hashed() == 0


def test_verify_compares_what_a_manifest_states(make_data: Callable[..., Path]) -> None:
    manifest = make_data(2)
    assert open_data(str(manifest), verify=True) == open_data(str(manifest))
    (manifest.parent / "1.flac").write_bytes(b"other")
    with pytest.raises(UserError, match=r"manifest.jsonl:2: .*1.flac has sha256 d9298a10d1b07358..., not"):
        open_data(str(manifest), verify=True)


@pytest.mark.parametrize("broken", [b"", b"{}\n", b"not JSON\nat all", b'["a"]\n'])
def test_a_broken_note_is_made_anew(tmp_path: Path, cache: Path, hashed: Callable[[], int], broken: bytes) -> None:
    folder = folder_of(tmp_path / "data")
    first = open_data(str(folder))
    (place,) = cache.iterdir()
    whole = place.read_bytes()
    for content in (broken, whole[:-1], whole.replace(b"000000", b"999999"), whole.replace(b'"made_by": "', b'"made_by": "0')):
        place.unlink()  # the clips of `first` lie in the file that was there
        place.write_bytes(content)
        hashed()
        assert open_data(str(folder)) == first and hashed() == MANY
        assert open_data(str(folder)) == first and hashed() == 0


def test_clips_stay_on_the_disk_and_outlive_their_file(tmp_path: Path, cache: Path) -> None:
    folder = folder_of(tmp_path / "data")
    new, known = open_data(str(folder)).clips, open_data(str(folder)).clips
    assert all(isinstance(clips, Clips) and isinstance(clips.lines, OnDisk) and isinstance(clips.hashes, OnDisk) for clips in (new, known))
    (place,) = cache.iterdir()
    place.unlink()
    assert new == known and len({clip.sha256 for clip in known}) == MANY
    elsewhere = copy.deepcopy(known[5:9])  # as another process gets them
    assert elsewhere == new[5:9] and isinstance(elsewhere, Clips) and isinstance(elsewhere.lines, bytes)


def test_small_data_leave_nothing_in_the_cache(tmp_path: Path, cache: Path) -> None:
    open_data(str(folder_of(tmp_path / "data", 3)))
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, cache: Path) -> None:
    cache.parent.write_text("no folder")
    assert len(open_data(str(folder_of(tmp_path / "data"))).clips) == MANY


def open_often(source: str, cache: str) -> None:
    os.environ["AUDIO_TOKENIZER_BENCH_CACHE"] = cache
    for _ in range(5):
        assert len(open_data(source, verify=True).clips) == MANY
        assert len(open_data(source).clips) == MANY


def test_two_processes_may_note_at_once(tmp_path: Path, cache: Path) -> None:
    folder = folder_of(tmp_path / "data")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=open_often, args=(str(folder), str(cache.parent))) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(list(cache.iterdir())) == 1


def test_packed_clips_are_the_clips() -> None:
    home = Path("/data")
    clips = (
        Clip("a.wav", home / "a.wav", "0" * 64),
        Clip(
            "ä",
            home / "b\udcff.wav",
            "1" * 64,
            "music",
            "anna",
            'tëxt, "quoted"',
            "de",
            "train",
            home / "phones.ctm",
            (("age", "40"), ("sex", "f")),
        ),
        Clip("c", home / "deep/c.wav", "f" * 64, text="[1]", labels=(("age", "7"),)),
    )
    found = packed(clips, home)
    assert tuple(found) == clips and found == clips and found[-1] == clips[-1] and list(found[1:]) == list(clips[1:])
    assert list(select(found, [2, 0])) == [clips[2], clips[0]] == list(select(clips, [2, 0]))
    assert list(found.files()) == ["/data/a.wav", "/data/b\udcff.wav", "/data/phones.ctm", "/data/deep/c.wav"]
    assert found.domains() == {"speech": 2, "music": 1}
    with pytest.raises(IndexError):
        found[3]


def test_packed_clips_take_a_tenth_of_what_objects_take() -> None:
    clips: Clips = packed((Clip(f"{i:06}.wav", Path(f"/data/{i:06}.wav"), f"{i:064x}", speaker="anna") for i in range(2000)), Path("/data"))
    assert isinstance(clips.lines, bytes) and isinstance(clips.hashes, bytes)
    assert (len(clips.lines) + len(clips.hashes) + 8 * len(clips.ends)) / len(clips) < 100


def test_a_change_of_any_code_that_opens_data_counts() -> None:
    place = Path(known.__file__).parent
    files = {path.relative_to(place).with_suffix("").as_posix(): path for path in place.rglob("*.py")}

    def imported(name: str) -> Iterator[str]:
        for node in ast.walk(ast.parse(files[name].read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bench.data"):
                parts = (node.module or "").split(".")[2:]
                yield from ("/".join([*parts, *more]) for more in ([], *([alias.name] for alias in node.names)))

    found, left = set(), ["own_data", "public/clips"]
    while left:
        if (name := left.pop()) in files and name not in found:
            found.add(name)
            left += imported(name)
    elsewhere = {"alignments", "textgrids", "roots", "public/archives", "public/hub"}  # say where files come from, and nothing of a clip
    assert found - elsewhere <= set(known.CODE) <= set(files)


@pytest.mark.slow
def test_20_000_files_open_without_being_read(tmp_path: Path, hashed: Callable[[], int]) -> None:
    folder = folder_of(tmp_path / "data", 20_000)
    for source in (str(folder), str(manifest_of(folder))):
        open_data(source)
        assert hashed() == 20_000
        start = time.perf_counter()
        assert len(open_data(source).clips) == 20_000
        print(f"{source}: {time.perf_counter() - start:.2f} s")
        assert hashed() == 0
