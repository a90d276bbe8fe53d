"""NanoCodec against NeMo's own classes (nemo_toolkit 3.0.0), with shared random weights in an archive as NeMo writes it.

Small widths quickly, the official sizes slowly. A code that differs must be a number next to the middle between two steps.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch import Tensor

from bench.api import UserError
from bench.tokenizers import nanocodec
from bench.tokenizers.nanocodec import CONFIGS, VARIANTS, Config, NanoCodec, load
from tests.parity.nemo_oracle import Official, alive, packed
from tests.parity.noise import swelling

CLOSE = 1e-5  # of a step: so far apart are sums in another order
NAMES = ("0.6kbps", "1.78kbps", "1.89kbps")
SMALL = {name: replace(CONFIGS[name], waveform=replace(CONFIGS[name].waveform, encoder_width=3, decoder_width=96)) for name in NAMES}
CASES = [pytest.param(name, SMALL[name], id=f"small-{name}") for name in NAMES]
CASES += [pytest.param(name, CONFIGS[name], id=name, marks=pytest.mark.slow) for name in NAMES]


def ours(name: str, config: Config, official: Official, folder: Path) -> NanoCodec:
    """Ours with the weights of NeMo's archive."""
    path = packed(config, official.state_dict(), folder / "codec.nemo")
    with mock.patch.dict(nanocodec.CONFIGS, {name: config}):
        model = load(VARIANTS[name].spec, path)
    path.unlink()  # up to 250 MB
    return model


def only_ties(codes: Tensor, expected: Tensor, model: NanoCodec, latents: Tensor) -> None:
    """Where codes [B, K, F] differ, each digit that does is a number next to the middle between two steps."""
    points = model.quantizer.bounded(latents.double())
    digits = [code[..., None] // model.quantizer.places % model.quantizer.steps for code in (codes, expected)]
    differ = digits[0] != digits[1]
    assert (points - points.floor() - 0.5).abs()[differ].le(CLOSE).all(), "not a tie"
    assert (codes != expected).double().mean() < 1e-3, "more than ties"


@pytest.mark.parametrize(("name", "config"), CASES)
@torch.no_grad()
def test_codes_and_audio_equal_nemo(name: str, config: Config, tmp_path: Path) -> None:
    official = alive(config, 0)
    mine, hop = ours(name, config, official, tmp_path), config.waveform.hop
    for clips, samples in ((2, 9 * hop + 1), (1, 5 * hop), (1, 1)):
        wav = swelling((clips, 1, samples), 1)
        codes, expected = mine.encode(wav), official.encode(wav)
        assert codes.shape == expected.shape == (clips, config.groups, -(-samples // hop))
        only_ties(codes, expected, mine, official.latents(wav))
        theirs = official.decode(expected)
        torch.testing.assert_close(mine.decode(expected), theirs, rtol=0, atol=1e-5)
        assert samples == 1 or (theirs.std() > 0.05 and len(codes.unique()) > 0.5 * codes.numel())


@pytest.fixture(scope="module")
def official() -> Official:
    return alive(SMALL["0.6kbps"], 1)


def test_an_archive_of_another_codec_is_refused(official: Official, tmp_path: Path) -> None:
    with mock.patch.dict(nanocodec.CONFIGS, SMALL):
        path = packed(SMALL["0.6kbps"], official.state_dict(), tmp_path / "codec.nemo")
        with pytest.raises(UserError, match=r"samples_per_frame is 1764, not 1024; audio_encoder\.down_sample_rates is"):
            load(VARIANTS["1.89kbps"].spec, path)
        for name, value in (("conv.bias", torch.zeros(1)), ("vector_quantizer.other", torch.zeros(1))):
            packed(SMALL["0.6kbps"], official.state_dict() | {name: value}, path)
            with pytest.raises(UserError, match="does not fit"):
                load(VARIANTS["0.6kbps"].spec, path)
        stated = {"vector_quantizer": nanocodec.released_configuration(SMALL["0.6kbps"])["vector_quantizer"] | {"eps": 0.01}}
        packed(SMALL["0.6kbps"], official.state_dict(), path, stated)
        with pytest.raises(UserError, match=r"vector_quantizer\.eps is 0\.01, not 0\.001"):
            load(VARIANTS["0.6kbps"].spec, path)


def test_names_of_older_weight_norm_are_read(official: Official, tmp_path: Path) -> None:
    """Archives of NeMo before it used torch's parametrizations."""
    state = official.state_dict()
    old = {
        name.replace("parametrizations.weight.original0", "weight_g").replace("parametrizations.weight.original1", "weight_v"): value
        for name, value in state.items()
    }
    assert old.keys() != state.keys()
    wav = swelling((1, 1, 5000), 2)
    with mock.patch.dict(nanocodec.CONFIGS, SMALL):
        mine = load(VARIANTS["0.6kbps"].spec, packed(SMALL["0.6kbps"], old, tmp_path / "codec.nemo"))
    only_ties(mine.encode(wav), official.encode(wav), mine, official.latents(wav))
