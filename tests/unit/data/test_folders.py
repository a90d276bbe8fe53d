"""A folder of audio: nothing is left out without a word, whatever it is called and wherever a link leads."""

import os
import shutil
from pathlib import Path

import pytest
import soundfile

from bench.api import UserError
from bench.data.audio import read_clip
from bench.data.manifests import names, open_data, told_data
from tests.conftest import speech_like


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """data/ with one WAV file, a.wav."""
    home = tmp_path / "data"
    home.mkdir()
    soundfile.write(home / "a.wav", speech_like(0.3, 8000).numpy(), 8000)
    return home


def copy(folder: Path, *places: str) -> None:
    for place in places:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / "a.wav", folder / place)


def ids(folder: Path) -> list[str]:
    return [clip.id for clip in open_data(str(folder)).clips]


def test_a_linked_folder_is_read_and_a_circle_ends(folder: Path) -> None:
    copy(folder, "../elsewhere/b.wav", "../elsewhere/deep/c.wav", "own/d.wav")
    (folder / "speaker").symlink_to("../elsewhere")
    (folder / "0").symlink_to("own")  # sorted before what it leads to
    (folder.parent / "elsewhere" / "back").symlink_to(folder)
    data = open_data(str(folder))
    assert [clip.id for clip in data.clips] == ["a.wav", "own/d.wav", "speaker/b.wav", "speaker/deep/c.wav"]
    assert data.notes == (f"{folder}: left out 0, speaker/back: a link to a folder that is read already",)


def test_a_link_to_a_file_is_a_clip_and_one_to_nothing_is_named(folder: Path) -> None:
    (folder / "b.wav").symlink_to("a.wav")
    (folder / "gone.flac").symlink_to("nothing.flac")
    data = open_data(str(folder))
    assert [clip.id for clip in data.clips] == ["a.wav", "b.wav"]
    assert data.notes == (f"{folder}: left out gone.flac: a link to nothing",)


@pytest.mark.parametrize(
    "name", "b.m4a b.w64 b.au b.caf b.oga b.WAV b.opus b.aac b.wma b.webm b.mka b.rf64 b.amr b.wv b.aifc b.sph".split()
)
def test_a_file_is_audio_by_the_end_of_its_name(folder: Path, name: str) -> None:
    copy(folder, name)
    assert ids(folder) == sorted(["a.wav", name])


@pytest.mark.parametrize("name", ["b", "b.audio", "b.dat", "b.txt", "b.raw"])
def test_a_file_is_audio_by_its_first_bytes(folder: Path, name: str) -> None:
    copy(folder, name)
    assert ids(folder) == ["a.wav", name]


def test_what_is_no_audio_is_no_clip_and_needs_no_word(folder: Path) -> None:
    for name, content in (("a.txt", b"hello"), ("a.json", b"{}"), ("cover.jpg", b"\xff\xd8\xff\xe0"), ("x.webp", b"RIFF\0\0\0\0WEBPVP8 ")):
        (folder / name).write_bytes(content)
    data = open_data(str(folder))
    assert [clip.id for clip in data.clips] == ["a.wav"] and not data.notes


def test_what_cannot_be_read_is_counted_and_named_by_its_reason(folder: Path) -> None:
    for number in range(7):
        (folder / f"{number}.pcm").write_bytes(b"\1\2" * 50)
    (folder / "all.tar").write_bytes(b"\0" * 512)
    (folder / "._a.wav").write_bytes(b"\x00\x05\x16\x07" + bytes(100))
    os.mkfifo(folder / "pipe.wav")
    data = open_data(str(folder))
    assert [clip.id for clip in data.clips] == ["a.wav"]
    assert sorted(note.removeprefix(f"{folder}: left out ") for note in data.notes) == [
        "._a.wav: macOS keeps no sound in it",
        "0.pcm, 1.pcm, 2.pcm, 3.pcm, 4.pcm and 2 more: no header states its rate: convert it to WAV",
        "all.tar: unpack it",
        "pipe.wav: no regular file",
    ]


def test_a_folder_of_nothing_else_says_what_was_left_out(tmp_path: Path) -> None:
    (tmp_path / "x.pcm").write_bytes(b"\1\2")
    with pytest.raises(UserError, match=r"has no clips: .*left out x\.pcm: no header states its rate"):
        open_data(str(tmp_path))


@pytest.mark.parametrize("name", ["می‌روم.wav", "Recording 9.41\u202fAM.wav", "क्‍ष.wav", "🫨.wav", "a\u00adb.wav", "..take.wav", "*.wav"])
def test_any_letter_may_be_in_a_name(folder: Path, name: str) -> None:
    copy(folder, name)
    assert sorted(ids(folder)) == sorted(["a.wav", name])


@pytest.mark.parametrize(
    ("name", "called"), [(b"caf\xe9.wav", "caf\\xe9.wav"), (b"a\nb.wav", "a\\x0ab.wav"), ("a\u2028b.wav".encode(), "a\\u2028b.wav")]
)
def test_a_name_that_no_text_can_hold_is_spelt_out(folder: Path, name: bytes, called: str) -> None:
    shutil.copyfile(folder / "a.wav", os.path.join(os.fsencode(folder), name))
    clip = next(clip for clip in open_data(str(folder)).clips if clip.id != "a.wav")
    assert clip.id == called and read_clip(clip).sample_rate == 8000


def test_ids_are_in_one_unicode_form(folder: Path) -> None:
    composed, decomposed = "\u00e9.wav", "e\u0301.wav"
    copy(folder, decomposed)
    alone = open_data(str(folder))
    assert [clip.id for clip in alone.clips] == ["a.wav", composed]
    (folder / decomposed).rename(folder / composed)
    assert open_data(str(folder)).sha256 == alone.sha256
    copy(folder, decomposed)
    assert len(set(ids(folder))) == 3  # both are there: each has a name of its own


def test_a_folder_that_is_called_like_a_bundled_set_is_never_taken_for_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.rename(folder.with_name("mini"))
    monkeypatch.chdir(folder.parent)
    assert told_data("mini").name == "mini" and len(told_data("mini", 2).clips) == 2
    assert "note: mini is the bundled data set; for your own of that name write ./mini" in capsys.readouterr().err
    own = told_data("./mini")
    assert own.name == "./mini" and own.name not in names() and [clip.id for clip in own.clips] == ["a.wav"]
    assert not capsys.readouterr().err
