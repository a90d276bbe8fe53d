"""FACodec against what its authors' code made of the same weights and sounds: at their configuration (slow), and with fewer channels.

facodec.json holds that, written by write_facodec.py; the recipe rebuilds weights and sounds. The weights go to files under the authors'
names, and through `load`. Codes must be equal but for proven ties.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.api import UserError
from bench.tokenizers import facodec
from bench.tokenizers.facodec import CONFIGS, LEVELS, VARIANTS, Config, FACodec, load
from tests.parity.facodec_recipe import CASES, HEARD_OF_VOICE, SEEDS, SIZES, stored, weights
from tests.parity.ties import Level, ties
from tests.parity.wavtokenizer_recipe import heard, sound

RUNS = [("small", seed) for seed in SEEDS["small"]] + [pytest.param(("full", seed), marks=pytest.mark.slow) for seed in SEEDS["full"]]
ROUGHER = 3.0  # times the rounding that `ties` allows by itself: 8 dimensions keep little of a latent's length


def config(size: str) -> Config:
    """Ours of that size."""
    filters, decoder_filters = SIZES[size]
    official = CONFIGS["16khz"]
    return replace(official, waveform=replace(official.waveform, filters=filters, decoder_filters=decoder_filters))


def model_of(size: str, state: dict[str, dict[str, Tensor]], folder: Path) -> FACodec:
    """Ours with the weights of the authors' files, which hold more than is needed."""
    paths = [folder / f"{part}.bin" for part in ("encoder", "decoder")]
    more = {f"{name}.weight": torch.zeros(3) for name in ("f0_predictor.heads.0", "res_phone_predictor.1.heads.0", "x_timbre_predictor.1")}
    torch.save(state["encoder"], paths[0])
    torch.save(state["decoder"] | more | {"timbre_encoder.position_emb.pe": torch.ones(5000, 1, 256)}, paths[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(facodec.CONFIGS, "16khz", config(size))
        model = load(VARIANTS["16khz"].spec, *paths)
    for path in paths:
        path.unlink()
    return model


@pytest.fixture(scope="module", params=RUNS, ids=str)
def pair(request, tmp_path_factory) -> Iterator[tuple[dict, FACodec]]:
    """(what the authors' code gave, our model with the same weights)."""
    size, seed = request.param
    facts = stored()[size]
    run = next(run for run in facts["runs"] if run["seed"] == seed)
    yield run, model_of(size, weights(facts["shapes"], seed, run["middles"], run["spreads"]), tmp_path_factory.mktemp("weights"))


def levels(model: FACodec, wav: Tensor, expected: Tensor) -> Iterator[list[Level]]:
    """What each stream's codebooks look up, in float64, along the authors' codes."""
    latents, others = model.latents(wav), []
    for stream, codes in zip(model.streams(), expected.split(list(LEVELS.values()), dim=1), strict=True):
        x = latents if len(others) < 2 else latents - others[0] - others[1]
        others.append(stream.decode(codes))
        found = []
        for book, code in zip(stream.codebooks(), codes.unbind(1), strict=True):
            unit = F.normalize(book.in_proj(x).double()).transpose(1, 2)
            found.append(Level(unit, F.normalize(book.codebook.weight.double()), torch.full(unit.shape[:2], ROUGHER)))
            x = x - book.out_proj(book.vectors(code))
        yield found


@pytest.mark.parametrize(("clips", "samples"), CASES)
@torch.no_grad()
def test_codes_voice_and_audio_equal_the_authors(pair, clips: int, samples: int) -> None:
    run, model = pair
    case = next(case for case in run["cases"] if (case["clips"], case["samples"]) == (clips, samples))
    expected, wav = torch.tensor(case["codes"]), sound(clips, samples, run["seed"])
    codes, side = model.encode(wav)
    assert codes.shape == expected.shape == (clips, 6, -(-samples // 200))
    parts = list(LEVELS.values())
    parted = torch.zeros(expected[:, :1].shape, dtype=torch.bool)  # frames where a tie of a stream changed what the next ones look up
    for found, right, looked_up in zip(codes.split(parts, 1), expected.split(parts, 1), levels(model, wav, expected), strict=True):
        ties(found.where(~parted, right), right, looked_up)
        parted |= (found != right).any(1, keepdim=True)
    voice = model.voice(model.latents(wav))
    torch.testing.assert_close(voice[:, :HEARD_OF_VOICE], torch.tensor(case["voice"]), rtol=0, atol=1e-5)
    audio = model.synthesis(expected, voice)
    assert audio.shape == (clips, 1, case["decoded"])
    torch.testing.assert_close(heard(audio), torch.tensor(case["heard"]), rtol=0, atol=1e-5)
    torch.testing.assert_close(audio.square().mean((1, 2)).sqrt(), torch.tensor(case["rms"]), rtol=1e-4, atol=0)
    assert clips < 2 or (len(expected.unique()) > 100 and (voice[0] - voice[1]).abs().max() > 1e-3)
    sent = model.decode(expected, side)  # the voice as float16
    assert 0 < (sent - audio).abs().max() < 1e-2


def test_files_of_other_names_are_refused(tmp_path: Path) -> None:
    facts = stored()["small"]
    run = facts["runs"][0]
    state = weights(facts["shapes"], 0, run["middles"], run["spreads"])
    with pytest.raises(UserError, match="does not fit"):
        model_of("small", state | {"decoder": state["decoder"] | {"stranger": torch.zeros(1)}}, tmp_path)
