"""What files of audio hold is heard to the end, or a note says what was not."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from bench.api import Audio, UserError
from bench.data.audio import BadAudio, decode_file, mixed, write
from tests.conftest import speech_like
from tests.unit.data.mutated_audio import SOURCES, source

RATE = 16_000


def written(samples: torch.Tensor, form: str = "WAV", subtype: str = "PCM_16", rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples.numpy(), rate, format=form, subtype=subtype)
    return file.getvalue()


def seconds(audio: Audio) -> float:
    return audio.wav.shape[-1] / audio.sample_rate


@pytest.mark.parametrize("name", SOURCES)
def test_every_kind_is_heard_whole_and_has_no_note(name: str) -> None:
    audio = decode_file(source(name), name)
    assert seconds(audio) == pytest.approx(0.4, abs=0.08) and audio.note == ""
    wanted = speech_like(0.4, RATE)
    assert float(audio.wav.abs().max()) == pytest.approx(float(wanted.abs().max()), rel=0.5)


@pytest.mark.parametrize("name", SOURCES)
def test_files_that_are_joined_are_all_heard(name: str) -> None:
    once = decode_file(source(name), name)
    for times in (2, 3):
        audio = decode_file(source(name) * times, name)
        assert seconds(audio) == pytest.approx(times * seconds(once), abs=0.01)
        assert audio.note == (f"{times} files joined in one, heard one after the other" if name != "aac" else "")  # frames without a header


def test_joined_files_of_other_rates_are_brought_to_the_first() -> None:
    first, second = speech_like(1.0, 16_000), torch.stack([speech_like(1.0, 44_100)] * 2, 1)
    for form, subtype in (("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("WAV", "PCM_16"), ("AIFF", "PCM_16")):
        audio = decode_file(written(first, form, subtype) + written(second, form, subtype, 44_100), "x")
        assert audio.wav.shape == (1, 32_000) and audio.sample_rate == 16_000
        assert "its rate or its channels change: all is brought to 16000 Hz and 1 of the beginning" in audio.note


def test_a_joined_file_that_cannot_be_read_is_told() -> None:
    whole = written(speech_like(1.0, RATE), "FLAC")
    audio = decode_file(whole + whole[:60], "x.flac")
    assert seconds(audio) == 1.0 and "part 2 cannot be read as audio" in audio.note


def test_streams_side_by_side_in_ogg_are_no_chain() -> None:
    link = source("vorbis")
    end = 28 + link[27]
    other = bytearray(link[:end])
    other[14] ^= 1  # the first page of another stream beside it
    assert "joined" not in decode_file(bytes(other) + link, "x.ogg").note


def stated(content: bytes, form: str, size: bytes) -> bytes:
    """The file with that in place of the length of its samples."""
    name, wide = (b"SSND", 4) if form == "AIFF" else (b"data", 8 if form in ("CAF", "W64") else 4)
    at = 8 if form == "AU" else content.index(name) + (16 if form == "W64" else 4)
    changed = content[:at] + size * wide + content[at + wide :]
    return changed[:28] + size * 8 + changed[36:] if form == "RF64" else changed


@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64", "W64", "AIFF", "CAF", "AU"])
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_a_length_that_was_never_written_is_no_end(form: str, subtype: str) -> None:
    content = written(speech_like(0.5, RATE), form, subtype)
    whole = decode_file(content, "x")
    assert whole.note == ""
    for size, note in (
        (b"\0", "its header states a length of 0: it is read to its end"),
        (b"\xff", "its header states no length: it is read to its end"),
    ):
        audio = decode_file(stated(content, form, size), "x")
        assert torch.equal(audio.wav, whole.wav)
        assert audio.note == (note if form != "AU" or size == b"\0" else "")  # all ones are what Sun's format wants


@pytest.mark.parametrize("form", ["WAV", "RF64", "W64", "AIFF", "CAF", "AU"])
def test_what_the_header_states_and_the_file_lacks_is_told(form: str) -> None:
    content = written(speech_like(0.5, RATE), form)
    audio = decode_file(content[: len(content) * 2 // 3], "x")
    assert 0.28 < seconds(audio) < 0.34 and "its end is missing" in audio.note


def test_bytes_behind_the_samples_are_told_and_chunks_are_none() -> None:
    content = written(speech_like(0.5, RATE))
    chunk = b"LIST\x04\x00\x00\x00INFO"
    assert decode_file(content + chunk, "x").note == ""
    audio = decode_file(content + b"\x01\x02" * 500, "x")
    assert seconds(audio) == 0.5 and audio.note == "1000 bytes behind the length that its header states are not read"
    empty = written(torch.zeros(0))
    with pytest.raises(BadAudio, match="x.wav holds no samples"):
        decode_file(empty + chunk, "x.wav")


def test_flac_is_heard_whatever_its_header_states_and_bit_by_bit() -> None:
    wav = speech_like(0.5, RATE)
    for subtype in ("PCM_S8", "PCM_16", "PCM_24"):
        content = written(wav, "FLAC", subtype)
        exact = torch.from_numpy(soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)[0].T)
        for total in (8_000, 4_000, 0):
            audio = decode_file(content[:21] + bytes((content[21] & 0xF0,)) + total.to_bytes(4, "big") + content[26:], "x")
            assert torch.equal(audio.wav, exact) and audio.note == ""
        assert decode_file(content + b"TAG" + bytes(125), "x").note == ""


@pytest.mark.parametrize(
    ("name", "words"), [("vorbis", "500 bytes are of no Ogg page"), ("flac", "FFmpeg says"), ("wav", "500 bytes behind")]
)
def test_bytes_behind_the_audio_are_told(name: str, words: str) -> None:
    audio = decode_file(source(name) + b"junk\1" * 100, "x")
    assert seconds(audio) == pytest.approx(0.4) and words in audio.note


@pytest.mark.parametrize("name", ["flac", "mp3", "webm", "matroska", "m4a", "mp3 wav", "opus", "vorbis", "amr"])
def test_half_a_file_is_told_or_refused(name: str) -> None:
    content = source(name)
    try:
        audio = decode_file(content[: len(content) * 2 // 3], "x")
    except BadAudio as error:
        assert str(error).startswith("x ")
    else:
        assert seconds(audio) < 0.36 and audio.note


def test_a_damaged_page_of_ogg_is_told() -> None:
    content = bytearray(written(speech_like(3.0, RATE), "OGG", "VORBIS"))
    pages = [i for i in range(len(content)) if content[i : i + 4] == b"OggS"]
    lost = bytes(content[: pages[-2]] + content[pages[-1] :])
    content[pages[-2] + 100] ^= 1
    assert decode_file(bytes(content), "x").note.startswith("1 of its Ogg pages damaged")
    assert decode_file(lost, "x").note.startswith("1 of its Ogg pages missing")


def test_a_decoders_words_are_in_the_note() -> None:
    content, middle = source("flac"), len(source("flac")) // 2
    broken = content[:middle] + bytes(64) + content[middle + 64 :]
    assert "FFmpeg says: flac: " in decode_file(broken, "x").note
    with pytest.raises(BadAudio, match="FFmpeg says: .*moov atom not found"):
        decode_file(source("m4a")[:500], "x")


@pytest.mark.parametrize(
    ("scale", "note"),
    [
        (1.0, ""),
        (1.9, ""),
        (100.0, "peaks at 40 dB above full scale: samples of 8-bit integers? divide them by 128"),
        (32_000.0, "peaks at 90 dB above full scale: samples of 16-bit integers? divide them by 32768"),
        (2.0**22, "peaks at 132 dB above full scale: samples of 24-bit integers? divide them by 8388608"),
        (4.0, "peaks at 12 dB above full scale"),
        (1e-5, "peaks at 100 dB below full scale: next to silent"),
        (0.0, ""),
    ],
)
def test_a_scale_that_is_none_of_audio_is_told(scale: float, note: str) -> None:
    wav = speech_like(0.5, RATE)
    assert decode_file(written(scale * wav / wav.abs().max(), subtype="FLOAT"), "x").note == note


def test_channels_that_cancel_out_are_told_from_silence() -> None:
    x = speech_like(0.5, RATE)[None]
    for other in (-x, -x * 0.9999):
        with pytest.raises(BadAudio, match="its channels cancel each other out: their mix is silent, the file itself is not"):
            mixed(Audio(torch.cat([x, other]), RATE), 1)
    assert "nearly cancel each other out: their mix is 26 dB below" in mixed(Audio(torch.cat([x, -0.9 * x]), RATE, "odd"), 1).note
    for fine in (torch.cat([x, -x]), torch.zeros(2, 100), torch.cat([x, 0 * x]), x):
        assert mixed(Audio(fine, RATE, "odd"), 2).note == "odd"
    assert not mixed(Audio(torch.zeros(2, 100), RATE), 1).wav.any()


@pytest.mark.parametrize("subtype", ["GSM610", "IMA_ADPCM", "MS_ADPCM", "ULAW", "ALAW", "G721_32", "NMS_ADPCM_32"])
def test_a_codec_that_cannot_be_sought_in_is_read(subtype: str) -> None:
    audio = decode_file(written(speech_like(1.0, 8_000), subtype=subtype, rate=8_000), "x")
    assert seconds(audio) == pytest.approx(1.0, abs=0.05)


def test_a_tag_before_flac_is_skipped() -> None:
    tag = b"ID3\x03\x00\x00\x00\x00\x00\x0a" + bytes(10)
    assert seconds(decode_file(tag + written(speech_like(0.5, RATE), "FLAC"), "x")) == 0.5


@pytest.mark.parametrize(
    "content",
    [
        b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/hostname\n",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
        b"<html>404</html>" * 20,
    ],
)
def test_a_file_that_names_others_opens_none(content: bytes) -> None:
    with pytest.raises(BadAudio, match="x.m4a cannot be read as audio"):
        decode_file(content, "x.m4a")


def test_24_bits_and_bytes_are_scaled_alike_by_both_decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.data import decoders

    wav = speech_like(0.3, RATE)
    for form, subtype in (
        ("WAV", "PCM_U8"),
        ("WAV", "PCM_16"),
        ("WAV", "PCM_24"),
        ("WAV", "PCM_32"),
        ("WAV", "FLOAT"),
        ("WAV", "DOUBLE"),
        ("FLAC", "PCM_24"),
    ):
        content = written(wav, form, subtype)
        (ours,) = decoders.decode(content).stretches
        (theirs,) = decoders._ffmpeg(content, decoders.WHOLE).stretches
        assert torch.equal(ours.wav, theirs.wav), subtype


def test_a_run_keeps_what_is_odd_in_a_file_with_its_rows(tmp_path: Path, make_data: Callable[..., Path]) -> None:
    from bench import registry
    from bench.data.manifests import open_data
    from bench.engine.run import Options, run

    folder = tmp_path / "odd"
    folder.mkdir()
    soundfile.write(folder / "a.wav", 32_768 * speech_like(0.5, RATE).numpy(), RATE, subtype="FLOAT")
    soundfile.write(folder / "b.wav", np.stack([speech_like(0.5, RATE).numpy()] * 2, 1) * [1, -1], RATE)
    suite = registry.load_suite("codes")
    (done,) = run([registry.variant("mulaw")], suite, open_data(str(folder)), Options(tmp_path / "results", workers=1))
    (odd,) = done.digest.odd
    assert odd.first == ("a.wav",) and "above full scale" in odd.note
    assert {row.note for row in done.rows if row.clip == "b.wav"} >= {
        "its channels cancel each other out: their mix is silent, the file itself is not"
    }


def test_a_folder_that_cannot_be_made_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"clip.wav: audio cannot be written \(Not a directory\): give another folder"):
        write(tmp_path / "file" / "below" / "clip.wav", torch.zeros(1, 8), 16_000)
