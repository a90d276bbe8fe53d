"""The weights that this project trained and ships: what they are, what their cards say, and that they are codecs and not noise."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bench import registry
from bench.data.audio import read_clip, resample, to_channels
from bench.data.manifests import open_data
from bench.metrics.stoi import stoi
from bench.weights import download

CODECS = {  # Hz, bit/s, frames per second; STOI that speech keeps at least with each of these numbers of codebooks
    "mimi@mini": (24_000, 1100, 12.5, {9: 0.80, 2: 0.68, 1: 0.55}),
    "encodec@mini": (24_000, 6000, 75, {8: 0.87, 4: 0.82, 2: 0.74, 1: 0.65}),
    "dac@mini": (16_000, 6000, 50, {12: 0.90, 4: 0.80, 1: 0.65}),
    "wavtokenizer@mini": (24_000, 900, 75, {1: 0.80}),
}


def shipped() -> list[str]:
    """Every family's mini whose weights lie in the repository."""
    minis = [name for name in registry.names() if name.endswith("@mini")]
    return [name for name in minis if (found := registry.variant(name).checkpoint) and found.sha256 and not found.url]


@pytest.mark.parametrize("name", shipped())
def test_its_card_names_the_very_file(name: str) -> None:
    checkpoint = registry.variant(name).checkpoint
    assert checkpoint is not None
    file = download.shipped(checkpoint.file)
    assert download.sha256_of(file) == checkpoint.sha256
    assert checkpoint.sha256 in file.with_suffix(".md").read_text(encoding="utf-8")
    assert file.stat().st_size < 11e6


@pytest.mark.parametrize("name", CODECS)
def test_it_is_its_familys_default_and_has_its_rates(name: str) -> None:
    rate, bitrate, frame_rate, _ = CODECS[name]
    spec = registry.variant(name.split("@")[0]).spec
    assert spec.label == name and spec.trained
    assert (spec.bitrate, spec.frame_rate, spec.sample_rate) == (bitrate, frame_rate, rate)


@pytest.mark.parametrize("name", CODECS)
def test_speech_stays_intelligible_and_codebooks_pay(name: str, real_data: Path) -> None:
    model = registry.load_tokenizer(name)
    rate, _, _, floors = CODECS[name]
    clips = [clip for clip in open_data(str(real_data / "eval" / "manifest.jsonl")).clips if clip.domain == "speech"][::14]
    table = []
    for clip in clips:
        audio = read_clip(clip)
        wav = resample(to_channels(audio.wav, 1), audio.sample_rate, rate)
        hop = round(rate / model.spec.frame_rate)
        with torch.inference_mode():
            latents = model.latents(torch.nn.functional.pad(wav[None], (0, -wav.shape[-1] % hop)))  # type: ignore[attr-defined]
        row = []
        for levels in floors:
            with torch.inference_mode():
                est = model.synthesis(model.quantizer.decode(model.quantizer.encode(latents, levels)))[0, 0, : wav.shape[-1]]  # type: ignore[attr-defined]
            row.append(stoi(resample(wav[0], rate, 16_000), resample(est, rate, 16_000), 16_000).value)
        table.append(row)
    means = torch.tensor(table).mean(0).tolist()
    assert all(mean > floor for mean, floor in zip(means, floors.values(), strict=True)), means
    assert all(more > fewer + 0.03 for more, fewer in zip(means, means[1:], strict=False)), means
