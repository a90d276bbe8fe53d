"""What the page of the leaderboards is made of: samples, pictures, cards."""

import hashlib
import io
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from bench import registry
from bench.data import manifests
from bench.data.audio import resample
from bench.leaderboard import listening, model_cards, spectrogram
from bench.records.reader import Kept
from bench.weights import download
from tests.conftest import speech_like
from tests.runs import made, speech

CORPUS = manifests.open_data(listening.CORPUS)


def pixels(png: bytes) -> np.ndarray:
    """[height, width] of a PNG with a palette, unfiltered."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + content)
        chunks[kind], at = content, at + 12 + size
    width, height, depth, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, colour, len(chunks[b"PLTE"])) == (8, 3, 3 * spectrogram.LEVELS)
    return np.frombuffer(zlib.decompress(chunks[b"IDAT"]), dtype=np.uint8).reshape(height, width + 1)[:, 1:]


def test_a_tone_is_a_line_at_its_height_and_silence_is_black() -> None:
    rate = 24_000
    t = torch.arange(2 * rate) / rate
    for hz, place in ((200, 0.93), (1000, 0.72), (8000, 0.22)):
        picture = pixels(spectrogram.png(torch.sin(2 * torch.pi * hz * t), rate))
        assert picture.shape == (96, 320)
        assert abs(picture[:, 160].argmax() / 96 - place) < 0.03, hz
        assert picture[:, 160].max() >= spectrogram.LEVELS - 2, "full scale is the brightest"
    assert pixels(spectrogram.png(torch.zeros(rate), rate)).max() == 0


def test_levels_are_absolute_and_the_length_does_not_matter() -> None:
    wav = speech_like(2.0, 16_000)
    loud, soft = pixels(spectrogram.png(wav, 16_000)).astype(int), pixels(spectrogram.png(wav / 10, 16_000)).astype(int)
    lit = soft > 0
    assert abs((loud - soft)[lit & (loud < 31)].mean() - 20 / spectrogram.RANGE * 31) < 0.3, "20 dB softer"
    assert pixels(spectrogram.png(wav[:1], 16_000)).shape == (96, 320)


def test_a_sample_is_the_same_each_time_and_sounds_like_what_it_was_made_of() -> None:
    wav = speech_like(2.0, 24_000)
    content = listening.opus(wav, 24_000)
    assert content == listening.opus(wav, 24_000)
    heard, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    assert rate == 48_000 and 1.98 < len(heard) / rate < 2.02 and len(content) < 2 * 10_000
    ref = resample(wav[None], 24_000, rate)[0].numpy()[: len(heard)]
    assert np.corrcoef(ref, heard[: len(ref)])[0, 1] > 0.95


def test_the_clips_are_one_of_each_domain_and_a_second_voice() -> None:
    clips = listening.chosen(CORPUS)
    assert sorted(clip.domain for clip in clips) == ["general", "music", "speech", "speech"]
    assert len({clip.speaker for clip in clips if clip.domain == "speech"}) == 2


@pytest.fixture
def run() -> Kept:
    return made("mulaw@8bit", speech({"quality": [1.0]}))


def test_samples_are_made_once_and_again_when_the_tokenizer_or_a_file_changed(tmp_path: Path, run: Kept) -> None:
    def make(*runs: Kept) -> list[str]:
        return list(listening.make(tmp_path, {run.label: run for run in runs}, CORPUS))

    assert make(run) == ["audio of original: 4 clips", "audio of mulaw@8bit: 4 clips"]
    assert make(run) == [] and listening.wrong(tmp_path, {run.label: run}, CORPUS) == []
    samples = listening.read(tmp_path, listening.chosen(CORPUS)).samples
    assert [(tmp_path.parent / s.audio.replace("audio", tmp_path.name, 1)).is_file() for s in samples["mulaw@8bit"]] == [True] * 4
    (tmp_path / "mulaw@8bit" / "music_piano.ogg").write_bytes(b"something else")
    assert listening.wrong(tmp_path, {run.label: run}, CORPUS) == [f"{tmp_path}/mulaw@8bit/music_piano.ogg: not the file of audio.json"]
    assert make(run) == ["audio of mulaw@8bit: 4 clips"]
    other = made("mulaw@8bit", speech({"quality": [1.0]}), codebooks=[[16, 8000.0]])
    assert listening.wrong(tmp_path, {run.label: other}, CORPUS) == [f"{tmp_path}/mulaw@8bit: samples of another mulaw@8bit"]
    assert make() == ["audio of mulaw@8bit taken away: it is on no board"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audio.json", "original"]


def test_a_tokenizer_that_cannot_be_heard_here_is_told_and_left_out(tmp_path: Path) -> None:
    runs = {
        run.label: run
        for run in (made("mimi@mini", speech({"quality": [1.0]}), weights="sha256:1"), made("no@body", speech({"quality": [1.0]})))
    }
    original, other, nobody = listening.make(tmp_path, runs, CORPUS)
    assert "other weights" in other and "no tokenizer is called 'no@body'" in nobody
    assert list(listening.read(tmp_path, listening.chosen(CORPUS)).samples) == ["original"]


def test_every_shipped_weight_has_a_card_and_a_card_holds_no_tags_of_its_own(tmp_path: Path) -> None:
    shipped = [name for name in registry.names() if name.endswith("@mini") and card_file(name)]
    assert len(shipped) > 3 and all(model_cards.card_of(name) for name in shipped)
    assert model_cards.card_of("mulaw@8bit") is None and model_cards.card_of("no@body") is None
    card = tmp_path / "card.md"
    table = "| a | b |\n|---|---|\n| 1 | <img src=x onerror=harm()> |\n"
    card.write_text("# A <b>card</b>\n\n<script>harm()</script>\n\n[here](javascript:harm())\n\n" + table)
    text = model_cards.rendered(card)
    assert text.startswith("<h4>A &lt;b&gt;card") and '<table tabindex="0">' in text
    assert "<script" not in text and "<img" not in text and 'href="javascript' not in text


def card_file(name: str) -> bool:
    return any(download.shipped(file.file).is_file() for file in registry.variant(name).files)


def test_what_is_shipped_of_others_is_what_its_list_says() -> None:
    """Each file's sha256 stands in vendor/README.md, and a licence beside it."""
    vendor = Path(model_cards.__file__).parent / "vendor"
    stated = re.findall(r"`dist/([^`]+)` \| `([0-9a-f]{64})`", (vendor / "README.md").read_text(encoding="utf-8"))
    assert {name for name, _ in stated} == {path.name for path in (vendor / "uplot").iterdir()} - {"LICENSE"}
    assert all(hashlib.sha256((vendor / "uplot" / name).read_bytes()).hexdigest() == sha256 for name, sha256 in stated)
