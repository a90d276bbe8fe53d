"""The shipped mimi@mini: its size, and that it is a codec and not noise."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench import registry, weights
from bench.audio import read_clip, resample, to_channels
from bench.data import open_data
from bench.metrics.stoi import stoi
from bench.tokenizers.mimi import VARIANTS, Mimi


@pytest.fixture(scope="module")
def mini() -> Mimi:
    model = registry.load_tokenizer("mimi@mini")
    assert isinstance(model, Mimi)
    return model


def test_it_is_the_default_at_1100_bits_a_second(mini: Mimi):
    assert next(iter(VARIANTS)) == "mini" and mini.spec.trained
    assert (mini.spec.bitrate, mini.spec.frame_rate, mini.spec.sample_rate) == (1100, 12.5, 24_000)
    assert weights.shipped("mimi_mini.safetensors").stat().st_size < 11e6


def test_its_card_names_the_very_file():
    card = weights.shipped("mimi_mini.md").read_text(encoding="utf-8")
    checkpoint = VARIANTS["mini"].checkpoint
    assert checkpoint is not None and checkpoint.sha256 in card


def test_a_stream_gives_the_codes_and_the_audio_of_the_whole_clip(mini: Mimi):
    wav = torch.randn(1, 1, 30_000, generator=torch.Generator().manual_seed(0)) * 0.1
    whole = mini.encode(wav)
    encoder, decoder = mini.stream_encoder(), mini.stream_decoder()
    codes = torch.cat([*(encoder.feed(piece) for piece in wav.split(1_111, dim=-1)), encoder.flush()], dim=-1)
    assert torch.equal(codes, whole)
    sound = torch.cat([*(decoder.feed(piece) for piece in codes.split(3, dim=-1)), decoder.flush()], dim=-1)
    assert torch.allclose(sound, mini.decode(whole), atol=1e-5)


def test_speech_stays_intelligible_and_codebooks_pay(mini: Mimi, real_data: Path):
    clips = [clip for clip in open_data(str(real_data / "eval" / "manifest.jsonl")).clips if clip.domain == "speech"][::14]
    table = []
    for clip in clips:
        audio = read_clip(clip)
        wav = resample(to_channels(audio.wav, 1), audio.sample_rate, 24_000)
        codes = mini.encode(wav[None])
        row = []
        for levels in (8, 2, 1):
            est = mini.synthesis(mini.quantizer.decode(codes[:, :levels]))[0, 0, : wav.shape[-1]].detach()
            row.append(stoi(resample(wav[0], 24_000, 16_000), resample(est, 24_000, 16_000), 16_000).value)
        table.append(row)
    eight, two, one = torch.tensor(table).mean(0).tolist()
    assert eight > 0.80, table
    assert eight > two + 0.03 and two > one + 0.03, table
