"""Manifests and folders: what is wrong in them is said with its line, and nothing leads out of the folder."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
import torch

from bench.api import UserError
from bench.data.audio import BadAudio, decode_file, read_clip, resample, to_channels
from bench.data.manifests import names, open_data, partners
from tests.conftest import speech_like


def change(manifest: Path, line: int, **fields: object) -> Path:
    lines = [json.loads(text) for text in manifest.read_text().splitlines()]
    lines[line].update(fields)
    manifest.write_text("".join(json.dumps({k: v for k, v in entry.items() if v != "GONE"}) + "\n" for entry in lines))
    return manifest


def test_a_manifest_gives_its_clips(make_data: Callable[..., Path]) -> None:
    data = open_data(str(make_data(3)))
    assert [clip.id for clip in data.clips] == ["clip0", "clip1", "clip2"]
    assert [clip.domain for clip in data.clips] == ["speech", "speech", "music"]
    assert read_clip(data.clips[0]).sample_rate == 16_000


def test_the_fingerprint_covers_every_fact_and_not_the_place(make_data: Callable[..., Path]) -> None:
    manifest = make_data(3)
    before = open_data(str(manifest)).sha256
    moved = manifest.parent.rename(manifest.parent.with_name("elsewhere")) / "manifest.jsonl"
    assert open_data(str(moved)).sha256 == before
    assert open_data(str(change(moved, 1, text="goodbye"))).sha256 != before


def test_a_clip_is_english_unless_its_line_says_otherwise(make_data: Callable[..., Path]) -> None:
    manifest = make_data(3)
    silent = open_data(str(manifest))
    said = open_data(str(change(manifest, 0, language="en")))
    assert {clip.language for clip in silent.clips} == {"en"} and said.sha256 == silent.sha256
    other = open_data(str(change(manifest, 0, language="yue")))
    assert [clip.language for clip in other.clips] == ["yue", "en", "en"] and other.sha256 != silent.sha256


def test_labels_belong_to_the_clip_and_to_what_the_data_are(make_data: Callable[..., Path]) -> None:
    manifest = make_data(3)
    without = open_data(str(manifest))
    assert open_data(str(change(manifest, 1, **{"label:mood": "", "mood": "ignored"}))).sha256 == without.sha256
    data = open_data(str(change(manifest, 1, **{"label:mood": " very  glad", "label:Genre_2": "cafe\u0301"})))
    assert data.clips[1].labels == (("Genre_2", "caf\u00e9"), ("mood", "very glad")) and data.clips[0].labels == ()
    assert data.clips[1].label("mood") == "very glad" and data.clips[0].label("mood") == data.clips[1].label("age") == ""
    assert data.sha256 != without.sha256
    table = manifest.with_suffix(".csv")
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    table.write_text("path,label:mood\n" + "".join(f"{line['path']},{line.get('label:mood', '')}\n" for line in lines))
    assert [clip.label("mood") for clip in open_data(str(table)).clips] == ["", "very glad", ""]


def test_a_split_belongs_to_the_clip_and_to_what_the_data_are(make_data: Callable[..., Path]) -> None:
    manifest = make_data(3)
    without = open_data(str(manifest))
    assert {clip.split for clip in without.clips} == {""}
    assert [clip.split for clip in open_data(str(change(manifest, 1, split="Train"))).clips] == ["", "train", ""]
    assert open_data(str(manifest)).sha256 != without.sha256


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"path": "GONE"}, r'manifest.jsonl:2: the field "path" is missing'),
        ({"path": 7}, r'manifest.jsonl:2: the field "path" is missing'),
        ({"path": "../data/1.flac"}, r"manifest.jsonl:2: .* leads out of the manifest's folder"),
        ({"path": "a/../../x.flac"}, r"manifest.jsonl:2: .* leads out"),
        ({"path": "/etc/passwd"}, r"manifest.jsonl:2: .* leads out"),
        ({"path": "..\\x.flac"}, r"manifest.jsonl:2: .* leads out"),
        ({"path": "nowhere.flac"}, r"manifest.jsonl:2: .*nowhere.flac does not exist"),
        ({"domain": "noise"}, r"manifest.jsonl:2: \"domain\" is 'noise': one of speech, music, general"),
        ({"speaker": 5}, r'manifest.jsonl:2: "speaker" must be a string'),
        ({"label:age": 5}, r'manifest.jsonl:2: "label:age" must be a string, not 5'),
        ({"label:sub-genre": "folk"}, r"manifest.jsonl:2: 'label:sub-genre' names no label: letters from a to z, digits and _ are wanted"),
        ({"language": "English"}, r"manifest.jsonl:2: \"language\" is 'English': an ISO 639 code of small letters is wanted"),
        ({"id": "clip0"}, r"two clips have the id 'clip0'"),
        ({"id": "a\nb"}, r"manifest.jsonl:2: 'a\\nb' cannot be a clip's id"),
        ({"id": "*"}, r"manifest.jsonl:2: '\*' cannot be a clip's id"),
    ],
)
def test_a_wrong_line_is_named(make_data: Callable[..., Path], fields: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_data(str(change(make_data(3), 1, **fields)))


def test_a_line_that_is_not_json_is_named(make_data: Callable[..., Path]) -> None:
    manifest = make_data(2)
    manifest.write_text(manifest.read_text() + "{broken\n")
    with pytest.raises(UserError, match=r"manifest.jsonl:3: not JSON"):
        open_data(str(manifest))


def test_a_file_that_is_not_the_manifests_is_refused_when_it_is_read(make_data: Callable[..., Path]) -> None:
    data = open_data(str(change(make_data(2), 0, sha256="0" * 64)))
    with pytest.raises(UserError, match=r"0.flac: sha256 is [0-9a-f]{16}\.\.\., 0{16}\.\.\. was stated"):
        read_clip(data.clips[0])


def test_a_folder_of_audio_is_a_data_set(tmp_path: Path) -> None:
    for name in ("a.wav", "music/b.flac", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        if name.endswith("txt"):
            (tmp_path / name).write_text("no audio")
        else:
            soundfile.write(tmp_path / name, speech_like(0.5, 8000).numpy(), 8000)
    assert [(clip.id, clip.domain) for clip in open_data(str(tmp_path)).clips] == [("a.wav", "speech"), ("music/b.flac", "music")]


@pytest.mark.parametrize("source", ["nothing-of-that-name", "mimi", "/dev/null/x"])
def test_data_that_does_not_exist_is_one_line(source: str) -> None:
    with pytest.raises(UserError, match="no data called .*manifest.jsonl or a folder"):
        open_data(source)


def test_an_empty_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no clips"):
        open_data(str(tmp_path))


def test_a_limit_leaves_no_domain_out(make_data: Callable[..., Path]) -> None:
    data = open_data(str(make_data(6)), limit=2)
    assert [clip.domain for clip in data.clips] == ["speech", "music"]


def test_partners_are_other_clips_of_other_speakers_in_the_same_domain(make_data: Callable[..., Path]) -> None:
    clips = open_data(str(make_data(6))).clips
    found = partners(clips)
    by_id = {clip.id: clip for clip in clips}
    assert all(by_id[key].domain == other.domain and by_id[key].speaker != other.speaker for key, other in found.items())
    assert set(found) == {"clip0", "clip1", "clip2", "clip3", "clip4"}  # the only music clip has nobody to change places with


def test_the_embedded_corpus_is_listed() -> None:
    assert "mini" in names()


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not audio at all" * 50])
def test_a_file_that_is_no_audio_is_bad_audio(content: bytes) -> None:
    with pytest.raises(BadAudio, match=r"x.wav cannot be read as audio"):
        decode_file(content, "x.wav")


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (torch.zeros(0), 16_000, "holds no samples"),
        (torch.tensor([0.1, float("nan")]), 16_000, "NaN"),
        (torch.zeros(700_000), 1_000, "700 s long, the limit is 600 s"),
    ],
)
def test_audio_nobody_could_code_is_bad_audio(tmp_path: Path, samples: torch.Tensor, rate: int, message: str) -> None:
    soundfile.write(tmp_path / "x.wav", samples.numpy(), rate, subtype="FLOAT")
    with pytest.raises(BadAudio, match=message):
        decode_file((tmp_path / "x.wav").read_bytes(), "x.wav")


@pytest.mark.parametrize("rates", [(16_000, 24_000), (44_100, 16_000), (192_000, 24_000), (8_000, 44_100)])
def test_resampling_keeps_a_tone_and_states_its_length(rates: tuple[int, int]) -> None:
    source, target = rates
    tone = torch.sin(2 * torch.pi * 440 * torch.arange(source, dtype=torch.float64) / source).float()[None]
    wanted = torch.sin(2 * torch.pi * 440 * torch.arange(target, dtype=torch.float64) / target).float()[None]
    out = resample(tone, source, target)
    assert out.shape == (1, target)
    assert (out - wanted)[:, 2000:-2000].abs().max() < 1e-5
    assert resample(tone[:, :1], source, target).shape[-1] >= 1


def test_there_and_back_is_transparent_below_the_band_edge() -> None:
    wav = resample(speech_like(2, 8_000)[None], 8_000, 16_000)
    again = resample(resample(wav, 16_000, 24_000), 24_000, 16_000)
    assert 10 * torch.log10(wav.square().sum() / (wav - again).square().sum()) > 60  # dB


def test_channels_are_mixed_down_or_doubled() -> None:
    wav = torch.tensor([[1.0, 0.0], [0.0, 0.5], [0.5, 1.0]])
    assert torch.equal(to_channels(wav, 1), torch.tensor([[0.5, 0.5]]))
    assert torch.equal(to_channels(wav, 2), torch.full((2, 2), 0.5))
    assert torch.equal(to_channels(wav[:2], 2), wav[:2])
