"""Manifests as editors, spreadsheets and other systems write them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.api import UserError
from bench.data.manifests import open_data

LINES = [{"path": "0.flac", "text": "one\u2028two"}, {"path": "1.flac", "text": "three\x85four"}]


@pytest.fixture
def folder(make_data: Callable[..., Path]) -> Path:
    manifest = make_data(2)
    manifest.unlink()
    return manifest.parent


def texts(manifest: Path) -> list[str]:
    return [clip.text for clip in open_data(str(manifest)).clips]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_lines_end_as_on_any_system_and_never_inside_a_string(folder: Path, end: str, encoding: str) -> None:
    (folder / "m.jsonl").write_bytes("".join(json.dumps(line, ensure_ascii=False) + end for line in LINES).encode(encoding))
    assert texts(folder / "m.jsonl") == [line["text"] for line in LINES]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_array_is_read_as_its_objects(folder: Path, indent: int | None) -> None:
    (folder / "m.json").write_text(json.dumps(LINES, indent=indent))
    assert texts(folder / "m.json") == [line["text"] for line in LINES]


@pytest.mark.parametrize(
    "content", ["path,text\n0.flac,hello\n", 'text;path\r\n"hello";0.flac\r\n', "\ufeffpath\ttext\tspeaker\n0.flac\thello\t\n"]
)
def test_a_table_with_named_columns_is_read(folder: Path, content: str) -> None:
    (folder / "m.csv").write_text(content, newline="")
    (clip,) = open_data(str(folder / "m.csv")).clips
    assert (clip.id, clip.text, clip.speaker, clip.domain) == ("0.flac", "hello", "", "speech")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"0.flac,hello\n", r"m:1: neither JSON nor a table \(CSV\) with a column called path: it begins '0.flac,hello'"),
        (b"utt1 /data/utt1.wav\n", r"m:1: neither JSON nor a table"),
        (b"path,text\n0.flac,hello,you\n", r"m:2: not as many cells as in the first line of this CSV table"),
        (b"path,text\n0.flac\n", r"m:2: not as many cells"),
        (b'[{"path": "0.flac"}', r"m: not JSON .*it begins as a JSON array"),
        (b'[{"path": "0.flac"}, {"text": "x"}]', r'm, entry 2: the field "path" is missing, it has text'),
        (b'[["0.flac"]]', r'm, entry 1: the field "path" is missing'),
        (b'{"audio_filepath": "0.flac", "duration": 3}\n', r'm:1: the field "path" is missing, it has audio_filepath, duration'),
        (b'{\n "path": "0.flac"\n}\n', r"m:1: not JSON .*expected one object per line"),
        (b'{"path": "0.flac"}\n{"path": "caf\xe9"}\n', r"m:2: .*byte 0xe9 is not UTF-8\): save it as UTF-8"),
        (b'{"path": "0.flac", "text": "\\ud800"}\n', r'm:1: "text" holds half of a surrogate pair'),
        (b"[" * 100_000, r"m: not JSON"),
    ],
)
def test_what_is_no_manifest_is_told_in_one_line(folder: Path, content: bytes, message: str) -> None:
    (folder / "m").write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        open_data(str(folder / "m"))
    assert "\n" not in str(caught.value)


def test_a_file_of_audio_is_no_manifest(folder: Path) -> None:
    with pytest.raises(UserError, match="0.flac is audio, not a manifest: give the folder that it is in"):
        open_data(str(folder / "0.flac"))


def one(folder: Path, **entry: str) -> str:
    (folder / "m.jsonl").write_text(json.dumps(entry))
    return open_data(str(folder / "m.jsonl")).clips[0].id


@pytest.mark.parametrize(("written", "there"), [("\u00e9/n\u0303.flac", "e\u0301/\u00f1.flac"), ("\uac00.flac", "\u1100\u1161.flac")])
def test_a_name_is_found_in_another_unicode_form(folder: Path, written: str, there: str) -> None:
    (folder / there).parent.mkdir(exist_ok=True)
    shutil.copyfile(folder / "0.flac", folder / there)
    assert one(folder, path=written) == one(folder, path=there)


def test_two_names_of_one_form_are_told_and_neither_is_guessed(folder: Path) -> None:
    for name in ("a\u0301\u0323.flac", "a\u0323\u0301.flac"):
        shutil.copyfile(folder / "0.flac", folder / name)
    with pytest.raises(UserError, match="2 files called .* that differ in Unicode form only"):
        one(folder, path="\u1ea1\u0301.flac")


def test_capital_letters_are_named_where_they_are_the_difference(folder: Path) -> None:
    with pytest.raises(UserError, match="0.FLAC does not exist: 0.flac does, small and capital letters differ"):
        one(folder, path="0.FLAC")


def test_dots_and_absolute_paths_stay_inside(folder: Path) -> None:
    for name in ("..take.flac", "a\\b.flac"):
        shutil.copyfile(folder / "0.flac", folder / name)
    assert one(folder, path="..take.flac") == "..take.flac"
    assert one(folder, path="./..take.flac") == "./..take.flac"
    assert one(folder, path=str(folder / "..take.flac")) == "..take.flac"
    assert one(folder, path="a\\b.flac") == "a\\b.flac"
    (folder.parent / "link").symlink_to(folder)
    assert one(folder.parent / "link", path=str(folder / "..take.flac")) == "..take.flac"


def test_texts_and_speakers_are_in_one_unicode_form(folder: Path) -> None:
    def data(text: str) -> str:
        (folder / "m.jsonl").write_text(json.dumps({"path": "0.flac", "text": text, "speaker": text, "id": text}))
        return open_data(str(folder / "m.jsonl")).sha256

    assert data("caf\u00e9 na\u00efve") == data("cafe\u0301 nai\u0308ve")
