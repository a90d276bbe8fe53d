"""Data as Kaldi, WebDataset and Hugging Face write them: each gives the clips of the manifest that says the same."""

import io
import json
import shutil
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import torch

from bench.api import Data, UserError
from bench.data.audio import read_clip
from bench.data.manifests import open_data

pa = pytest.importorskip("pyarrow")
from pyarrow import parquet  # noqa: E402


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def plain(make_data: Callable[..., Path]) -> Path:
    """A folder of 0.flac and 1.flac with the manifest that says of them what the other formats are to say, ids a and b."""
    manifest = make_data(2, seconds=0.3)
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    for line, name in zip(lines, "ab", strict=True):
        line |= {"id": name, "text": f"hello {name}"}
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return manifest.parent


def same(found: Data, plain: Path) -> None:
    """Clips, fingerprint and audio are those of the manifest."""
    wanted = open_data(str(plain / "manifest.jsonl"))
    assert found.sha256 == wanted.sha256
    for ours, theirs in zip(found.clips, wanted.clips, strict=True):
        assert torch.equal(read_clip(ours).wav, read_clip(theirs).wav)


def kaldi(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir()
    (folder / "wav.scp").write_text("".join(f"{name} {file}\n" for name, file in files.items()))
    (folder / "text").write_text("a hello a\nb\thello b\n")
    (folder / "utt2spk").write_text("a s0\nb s1\n")
    return folder


@pytest.mark.parametrize("named", ["absolute", "beside", "working folder"])
def test_a_folder_of_kaldi_is_read(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.chdir(tmp_path)
    start = {"absolute": f"{plain}/", "beside": "../data/", "working folder": "data/"}[named]
    folder = kaldi(tmp_path / "kaldi", {"a": f"{start}0.flac", "b": f"{start}1.flac"})
    same(open_data(str(folder)), plain)
    same(open_data(str(folder / "wav.scp")), plain)
    (folder / "utt2lang").write_text("a en\nb zh-CN\n")
    assert [clip.language for clip in open_data(str(folder)).clips] == ["en", "zh"]


def test_a_text_of_kaldi_ends_where_its_line_does(plain: Path, tmp_path: Path) -> None:
    folder = kaldi(tmp_path / "kaldi", {"a": f"{plain}/0.flac", "b": f"{plain}/1.flac"})
    (folder / "text").write_bytes("a one\x85two\u2028three\x0cfour\r\nb hello b\r\n".encode())
    assert [clip.text for clip in open_data(str(folder)).clips] == ["one\x85two\u2028three\x0cfour", "hello b"]


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("sph2pipe -f wav x.sph |", r"wav.scp:1: a command stands in place of a file \('sph2pipe"),
        ("raw.ark:1234", r"wav.scp:1: .* inside an archive of Kaldi's"),
        ("nowhere.flac", r"wav.scp:1: nowhere.flac does not exist"),
        ("", r"wav.scp:1: names no file"),
    ],
)
def test_what_kaldi_would_run_or_unpack_is_refused(tmp_path: Path, file: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_data(str(kaldi(tmp_path / "kaldi", {"a": file})))


def test_segments_of_kaldi_are_refused_and_not_overlooked(plain: Path, tmp_path: Path) -> None:
    folder = kaldi(tmp_path / "kaldi", {"a": f"{plain}/0.flac"})
    (folder / "segments").write_text("a-1 a 0.0 0.1\n")
    with pytest.raises(UserError, match="segments cuts clips out of longer recordings"):
        open_data(str(folder))


def shard(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, mode) as tar:  # pyright: ignore[reportCallIssue, reportArgumentType]
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        tar.addfile(link("link.flac"))
    return path


def link(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return member


def samples(plain: Path) -> list[dict[str, bytes]]:
    audio = [(plain / f"{i}.flac").read_bytes() for i in range(2)]
    said = json.dumps({"text": "hello b", "speaker": "s1", "duration": 0.4}).encode()
    return [{"a.flac": audio[0], "a.txt": b"hello a\n", "a.json": b'{"speaker_id": "s0"}'}, {"b.json": said, "b.flac": audio[1]}]


def test_audio_inside_tar_shards_is_read_where_it_lies(plain: Path, tmp_path: Path) -> None:
    for number, members in enumerate(samples(plain)):
        shard(tmp_path / "shards" / f"{number:03d}.tar", members)
    same(open_data(str(tmp_path / "shards")), plain)
    assert not (tmp_path / "cache").exists()
    one = shard(tmp_path / "one.tar", samples(plain)[0] | samples(plain)[1])
    found = open_data(str(one))
    same(found, plain)
    assert found.name == "one"


def test_a_member_that_changed_after_the_data_were_opened_is_told(plain: Path, tmp_path: Path) -> None:
    file = shard(tmp_path / "one.tar", samples(plain)[0])
    (clip,) = open_data(str(file)).clips
    assert clip.span
    content = bytearray(file.read_bytes())
    content[clip.span[0] + 100] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match="sha256 is"):
        read_clip(clip)


def test_two_files_of_audio_in_one_sample_are_two_clips(plain: Path, tmp_path: Path) -> None:
    audio = (plain / "0.flac").read_bytes()
    file = shard(tmp_path / "one.tar", {"x/song.mix.flac": audio, "x/song.vocals.flac": audio, "x/song.json": b'{"domain": "music"}'})
    assert [(clip.id, clip.domain) for clip in open_data(str(file)).clips] == [
        ("x/song.mix.flac", "music"),
        ("x/song.vocals.flac", "music"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a.flac": b"x", "a.json": b"{"}, r"one.tar: a.json: not JSON"),
        ({"a.flac": b"x", "a.txt": b"\xff"}, r"one.tar: a.txt: not UTF-8"),
    ],
)
def test_what_is_wrong_in_a_shard_is_named(tmp_path: Path, content: dict[str, bytes], message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_data(str(shard(tmp_path / "one.tar", content)))


def test_a_compressed_and_a_broken_shard_are_told_apart(plain: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unpack one that is compressed"):
        open_data(str(shard(tmp_path / "zipped.tar", samples(plain)[0], "w:gz")))
    whole = shard(tmp_path / "cut.tar", samples(plain)[0])
    whole.write_bytes(whole.read_bytes()[:700])
    with pytest.raises(UserError, match="cannot be read as a tar file .*: copy it again"):
        open_data(str(whole))


def test_a_tar_beside_files_of_audio_is_left_out_as_before(plain: Path) -> None:
    (plain / "manifest.jsonl").unlink()
    shard(plain / "all.tar", {})
    data = open_data(str(plain))
    assert [clip.id for clip in data.clips] == ["0.flac", "1.flac"] and "all.tar: unpack it" in data.notes[0]


def table(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    path.parent.mkdir(exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(rows), path, row_group_size=1)
    return path


def test_a_manifest_may_be_a_table_in_parquet(plain: Path) -> None:
    lines = [json.loads(line) for line in (plain / "manifest.jsonl").read_text().splitlines()]
    same(open_data(str(table(plain / "m.parquet", [line | {"duration": 0.3} for line in lines]))), plain)
    with pytest.raises(UserError, match=r"bad.parquet, row 2: .*nowhere.flac does not exist"):
        open_data(str(table(plain / "bad.parquet", [lines[0], lines[1] | {"path": "nowhere.flac"}])))


def rows(plain: Path) -> list[dict[str, object]]:
    audio = [{"bytes": (plain / f"{i}.flac").read_bytes(), "path": f"{i}.flac"} for i in range(2)]
    said = [{"id": name, "sentence": f"hello {name}", "client_id": f"s{i}"} for i, name in enumerate("ab")]
    return [{"audio": held, **facts} for held, facts in zip(audio, said, strict=True)]


def test_audio_in_the_rows_of_parquet_is_written_once(plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for row, name in zip(rows(plain), ("0", "1"), strict=True):
        table(tmp_path / "tables" / f"test-{name}.parquet", [row])
    same(open_data(str(tmp_path / "tables")), plain)
    assert "writing the audio" in capsys.readouterr().err
    same(open_data(str(tmp_path / "tables")), plain)
    assert not capsys.readouterr().err
    shutil.rmtree(tmp_path / "tables")


def test_a_copy_of_rows_that_was_stopped_goes_on(plain: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.data import parquet_tables

    file = table(tmp_path / "one.parquet", rows(plain))
    wrote = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name == "000001.flac":
            raise KeyboardInterrupt
        return wrote(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(KeyboardInterrupt):
            open_data(str(file))
    (manifest,) = cache.rglob("manifest.jsonl")
    assert len(manifest.read_text().splitlines()) == 1
    with manifest.open("a") as half:
        half.write('{"path": "aud')
    read: list[int] = []
    monkeypatch.setattr(
        parquet_tables, "rows", lambda *given, start, really=parquet_tables.rows: read.append(start) or really(*given, start=start)
    )
    same(open_data(str(file)), plain)
    assert read == [1]


def test_ids_that_come_twice_are_told_apart_by_their_row(plain: Path, tmp_path: Path) -> None:
    twice = [{"audio": {"bytes": (plain / "0.flac").read_bytes(), "path": "x/take.flac"}} for _ in range(2)]
    assert [clip.id for clip in open_data(str(table(tmp_path / "t.parquet", twice))).clips] == ["take", "take-000001"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"text": "x"}], "neither a column called path nor one that holds audio"),
        (
            [{"audio": {"bytes": b"x", "path": "0.flac"}}, {"audio": {"bytes": None, "path": "1.flac"}}],
            r"t.parquet, row 2: the column 'audio' holds",
        ),
    ],
)
def test_a_table_without_audio_is_told(tmp_path: Path, rows: list[dict[str, object]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_data(str(table(tmp_path / "t.parquet", rows)))


def test_a_file_that_is_no_parquet_is_told(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"nothing")
    with pytest.raises(UserError, match="t.parquet: cannot be read as Parquet"):
        open_data(str(tmp_path / "t.parquet"))
