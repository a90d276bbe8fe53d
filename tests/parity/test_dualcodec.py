"""DualCodec against its authors' code (dualcodec 0.4.2) with shared random weights: small, and at full size (slow).

Their code leaves out a last frame that it lacks features for, and refuses clips shorter than one: all frames that it gives are compared.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from bench.api import UserError
from bench.data import torchaudio_guard
from bench.nn.resample import SincResample
from bench.nn.w2v_bert import W2vBertShape
from bench.tokenizers import dualcodec
from bench.tokenizers.dualcodec import CONFIGS, MEAN, SPEECH, VARIANCE, VARIANTS, Config, DualCodec, load
from tests.parity import dualcodec_oracle
from tests.parity.ties import Level, ties
from tests.parity.wavtokenizer_recipe import sound

ROUGHER = 10  # times the rounding that `ties` allows by itself: two networks of many layers, then 8 of many dimensions
SIZES = [
    pytest.param((name, small), id=f"{name}-{'small' if small else 'full'}", marks=() if small else pytest.mark.slow)
    for small in (True, False)
    for name in ("12hz", "25hz")
]


def config(name: str, small: bool) -> Config:
    """Ours of that size. 1,024 features, which the authors' code takes for granted, stay."""
    full = CONFIGS[name]
    if not small:
        return full
    waveform = replace(full.waveform, filters=4, decoder_filters=64)
    shape = W2vBertShape(1024, heads=16, feedforward=64, kernel=7, before=16, after=4)
    return replace(full, waveform=waveform, semantic=shape, layers=2, semantic_size=512, hidden=128, blocks=2)


def official_codec(shape: Config) -> Any:
    """The authors' codec of that size. The width inside its ConvNeXt blocks is a number in their code."""
    rates = list(shape.waveform.rates)
    code = dualcodec_oracle.package().model_codec.dualcodec_model
    block = code.ConvNeXtBlock
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore", FutureWarning)  # weight_norm is old
        patch.setattr(code, "ConvNeXtBlock", lambda dim, intermediate_dim, is_causal: block(dim, shape.hidden, is_causal=is_causal))
        return code.DualCodec(
            encoder_dim=shape.waveform.filters,
            encoder_rates=rates,
            latent_dim=shape.waveform.dimension,
            decoder_dim=shape.waveform.decoder_filters,
            decoder_rates=rates[::-1],
            n_codebooks=shape.levels,
            codebook_size=shape.size,
            semantic_codebook_size=shape.semantic_size,
            convnext_layers=shape.blocks,
            is_causal=True,
            semantic_downsample_factor=shape.pooled,
            sample_rate=24_000,
        ).eval()


def official_speech(shape: Config) -> Any:
    """transformers' w2v-BERT of that size, with a layer more than is asked for."""
    transformers = pytest.importorskip("transformers")
    inner = shape.semantic
    model = transformers.Wav2Vec2BertModel(
        transformers.Wav2Vec2BertConfig(
            hidden_size=inner.dimension,
            num_hidden_layers=shape.layers + 1,
            num_attention_heads=inner.heads,
            intermediate_size=inner.feedforward,
            conv_depthwise_kernel_size=inner.kernel,
            left_max_position_embeddings=inner.before,
            right_max_position_embeddings=inner.after,
        )
    ).eval()
    for value in model.parameters():
        if value.ndim == 1:
            value.add_(0.1 * torch.randn(value.shape))
        else:
            value.normal_(0, value[0].numel() ** -0.5)
    return model


def spread(levels: Any, rest: Tensor, size: int) -> Tensor:
    """Codebooks of a residual quantizer around what reaches them; gives what they leave of the latents."""
    for level in levels:
        points = level.in_proj(rest)
        level.codebook.weight.copy_(points.mean((0, 2)) + points.std((0, 2)) * torch.randn(size, points.shape[1]))
        back = 0.7 * torch.linalg.pinv(level.in_proj.weight[..., 0])[..., None]
        level.out_proj.weight_v.copy_(back)
        level.out_proj.weight_g.copy_(back.norm(dim=(1, 2), keepdim=True))
        rest = rest - level.out_proj(level.decode_latents(points)[0])
    return rest


@torch.no_grad()
def alive(name: str, small: bool, folder: Path, seed: int = 0) -> Any:
    """The authors' Inference with random weights under which codes vary."""
    shape = config(name, small)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        codec, speech = official_codec(shape), official_speech(shape)
        statistics = {"mean": 0.1 * torch.randn(1024), "var": 0.5 + torch.rand(1024)}
        for key, value in codec.named_parameters():
            if key.endswith("alpha"):
                value.uniform_(0.3, 2)
            elif key.endswith("weight_g") and key.startswith("dac."):
                value.mul_(1.3)
            elif key.endswith("bias"):
                value.normal_(0, 0.02)
            elif key.endswith("norm.weight"):
                value.uniform_(0.7, 1.3)
        official = dualcodec_oracle.inference(codec, speech, statistics, folder)
        if small:
            official.semantic_cfg["output_idx"] = shape.layers
        wav = sound(1, 30 * shape.waveform.hop, seed + 100)
        x = codec.convnext_encoder(official_features(official, wav))
        spread(codec.semantic_vq.quantizers, x, shape.semantic_size)
        meant = codec.convnext_decoder(codec.semantic_vq(x)[0])
        spread(codec.dac.quantizer.quantizers, codec.dac.encoder(wav)[..., : meant.shape[-1]] - meant, shape.size)
    return official


def official_features(official: Any, wav: Tensor) -> Tensor:
    """wav [B, 1, T] -> what their codec is given beside the waveform [B, D, F]."""
    taken: list[Tensor] = []

    def stop(_audio: Tensor, num_quantizers: int, semantic_repr: Tensor) -> tuple[Tensor, None]:
        taken.append(semantic_repr)
        return semantic_repr, None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(official.model, "encode", stop)
        dualcodec_oracle.encode(official, wav, 1)
    return taken[0]


def joined(official: Any) -> dict[str, Tensor]:
    """Its weights as docs/tokenizers.md joins the released files."""
    speech = {f"{SPEECH}{name}": value for name, value in official.semantic_cfg["semantic_model"].state_dict().items()}
    statistics = {MEAN: official.semantic_cfg["mean"], VARIANCE: official.semantic_cfg["std"].square()}
    return official.model.state_dict() | speech | statistics


def ours(name: str, small: bool, state: dict[str, Tensor], folder: Path, variant: str = "") -> DualCodec:
    """Ours with the weights of such a file."""
    path = folder / "dualcodec.safetensors"
    save_file({key: value.contiguous() for key, value in state.items()}, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(dualcodec.CONFIGS, name, config(name, small))
        return load(VARIANTS[variant or name].spec, path)


@pytest.fixture(scope="module", params=SIZES)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, DualCodec]]:
    """(the authors' Inference, ours)."""
    folder, (name, small) = tmp_path_factory.mktemp("weights"), request.param
    official = alive(name, small, folder)
    yield official, ours(name, small, joined(official), folder)


def levels_of(quantizer: Any, latents: Tensor, expected: Tensor) -> Iterator[Level]:
    """What `ties` asks of an authors' quantizer, as in test_dac.py."""
    quantizer, rest = deepcopy(quantizer).double(), latents.double()
    for level, code in zip(quantizer.quantizers, expected.unbind(1), strict=False):
        points, whole = level.in_proj(rest), level.in_proj(latents.double())
        size = ROUGHER * whole.norm(dim=1) / points.norm(dim=1)
        yield Level(F.normalize(points).transpose(1, 2), F.normalize(level.codebook.weight), size)
        rest = rest - level.out_proj(level.decode_code(code))


@torch.no_grad()
def same_codes(official: Any, mine: DualCodec, wav: Tensor) -> tuple[Tensor, int]:
    """(The authors' codes, ties): AssertionError where one of ours differs and is none. Detail is compared given their first codes."""
    expected = dualcodec_oracle.encode(official, wav, len(mine.spec.codebooks))
    frames, codec = expected.shape[-1], official.model
    codes = mine.encode(wav)[..., :frames]
    first, rest = expected[:, :1], expected[:, 1:]
    features = official_features(official, wav)
    count = ties(codes[:, :1], first, levels_of(codec.semantic_vq, codec.convnext_encoder(features), first))
    if rest.shape[1]:
        hop = mine.hop
        latents = codec.dac.encoder(F.pad(wav, (0, -wav.shape[-1] % hop)))[..., :frames]
        latents = latents - codec.convnext_decoder(codec.semantic_vq.from_codes(first)[0])
        given = mine.quantizer.encode(mine.heard(wav)[..., :frames] - mine.meant(first), rest.shape[1])
        count += ties(given, rest, levels_of(codec.dac.quantizer, latents, rest))
        assert not torch.equal(codes[:, :1], first) or torch.equal(codes[:, 1:], given)
    return expected, count


@pytest.mark.parametrize("late", [0, 200, 1200], ids=["even", "odd-at-the-end", "odd-within"])
@torch.no_grad()
def test_codes_and_audio_equal_the_authors(pair: tuple[Any, DualCodec], late: int) -> None:
    """The three lengths leave w2v-BERT an even number of energies, and an odd one whose empty frame is averaged, or is dropped."""
    official, mine = pair
    wav = sound(1 if late else 2, 16 * 1920 + late * mine.hop // 1920, 1 + late)
    expected, _ = same_codes(official, mine, wav)
    assert len(expected[:, 0].unique()) > 0.4 * expected[:, 0].numel()
    assert min(len(level.unique()) for level in expected.unbind(1)) > 10
    for codes in (expected, expected[:, :1]):
        audio = dualcodec_oracle.decode(official, codes)
        assert audio.std() > 5e-3 and codes.shape[-1] * mine.hop - audio.shape[-1] in range(1, 6)
        torch.testing.assert_close(decoded(mine, codes), audio, rtol=0, atol=1e-5)


def decoded(mine: DualCodec, codes: Tensor) -> Tensor:
    """Audio of codes [B, K, F] by the variant of so many codebooks."""
    fewer = DualCodec.__new__(DualCodec)
    fewer.__dict__.update(mine.__dict__)
    fewer.spec = replace(mine.spec, codebooks=mine.spec.codebooks[: codes.shape[1]])
    return fewer.decode(codes)


@pytest.mark.parametrize("length", [1, 700, 1919, 1920, 1921, 1920 * 7 + 1300])
@torch.no_grad()
def test_every_whole_hop_has_a_frame(pair: tuple[Any, DualCodec], length: int) -> None:
    _, mine = pair
    wav = sound(1, length, length)
    frames = mine.encode(wav).shape[-1]
    assert max(1, length // mine.hop) <= frames <= math.ceil(length / mine.hop)


@torch.no_grad()
def test_the_first_codebooks_are_a_variant_of_their_own(tmp_path: Path) -> None:
    official = alive("12hz", True, tmp_path)
    wav, state = sound(1, 30_000, 5), joined(official)
    whole = ours("12hz", True, state, tmp_path).encode(wav)
    for count in (1, 2, 4):
        fewer = ours("12hz", True, state, tmp_path, f"12hz-{count}cb")
        assert torch.equal(fewer.encode(wav), whole[:, :count])
        expected, _ = same_codes(official, fewer, wav)
        torch.testing.assert_close(fewer.decode(expected), dualcodec_oracle.decode(official, expected), rtol=0, atol=1e-5)


def test_a_stranger_and_a_gap_are_refused(tmp_path: Path) -> None:
    state = joined(alive("25hz", True, tmp_path))
    for wrong in (state | {"dac.stranger.weight": torch.zeros(1)}, {k: v for k, v in state.items() if k != VARIANCE}):
        with pytest.raises(UserError, match="does not fit"):
            ours("25hz", True, wrong, tmp_path)


@pytest.mark.parametrize("length", [1, 100, 24_001])
def test_the_resampler_is_torchaudios(length: int) -> None:
    if why := torchaudio_guard.guard():
        pytest.skip(why)
    wav = sound(2, length, 3)
    expected = torchaudio_guard.load().functional.resample(wav, 24_000, 16_000)
    torch.testing.assert_close(SincResample(24_000, 16_000)(wav), expected, rtol=0, atol=2e-6)
