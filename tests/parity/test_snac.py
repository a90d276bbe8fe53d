"""SNAC against its authors' code (snac 1.2.1), at the official configurations with shared random weights and shared noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.nn.noise import Noise
from bench.tokenizers.snac import CONFIGS, VARIANTS, Snac, renamed
from tests.parity.test_encodec import noise

official = pytest.importorskip("snac", reason="the oracle is missing: pip install --no-deps snac einops")
KINDS = ("24khz", pytest.param("32khz", marks=pytest.mark.slow), pytest.param("44khz", marks=pytest.mark.slow))


@torch.no_grad()
def alive(kind: str, seed: int) -> Any:
    """The authors' model with random weights under which codes vary."""
    config = CONFIGS[kind]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = official.SNAC(
            sampling_rate=config.sample_rate,
            encoder_dim=config.waveform.filters,
            encoder_rates=list(config.waveform.rates),
            decoder_dim=config.waveform.decoder_filters,
            decoder_rates=list(reversed(config.waveform.rates)),
            attn_window_size=config.waveform.window or None,
            vq_strides=list(config.strides),
        ).eval()
        for name, value in model.named_parameters():
            if name.startswith("encoder") and name.endswith("original0"):  # the decoder's would drive its last layer into saturation
                value.mul_(1.5 + 0.5 * torch.rand_like(value))
            elif name.endswith("bias"):
                value.normal_(0, 0.1)
            elif name.endswith("alpha"):
                value.copy_(0.5 + torch.rand_like(value))
        rest = model.encoder(model.preprocess(noise((1, 1, 2 * config.sample_rate), seed + 100)))
        for level in model.quantizer.quantizers:
            points = level.in_proj(torch.nn.functional.avg_pool1d(rest, level.stride))
            level.codebook.weight.copy_(points.mean((0, 2)) + 0.4 * points.std((0, 2)) * torch.randn(level.codebook.weight.shape))
            rest = rest - level(rest)[0]
    return model


def ours(kind: str, model: Any) -> Snac:
    mine = Snac(CONFIGS[kind], VARIANTS[kind].spec)
    mine.load_state_dict(renamed(model.state_dict(), CONFIGS[kind]), strict=True)
    return mine.eval()


def columns(codes: list[Tensor], strides: tuple[int, ...]) -> Tensor:
    """The authors' codes of each level [B, n_l] as columns [B, K, n]."""
    return torch.cat([c.unflatten(1, (-1, strides[0] // s)).transpose(1, 2) for c, s in zip(codes, strides, strict=True)], dim=1)


def level_points(model: Any, wav: Tensor, expected: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """(directions [N, D] that each level looks up, its directions [S, D]) along the authors' codes."""
    rest, found = model.encoder(model.preprocess(wav)), []
    for level, codes in zip(model.quantizer.quantizers, expected, strict=True):
        points = level.in_proj(torch.nn.functional.avg_pool1d(rest, level.stride) if level.stride > 1 else rest)
        found.append((points, torch.nn.functional.normalize(level.codebook.weight)))
        rest = rest - level.out_proj(level.decode_code(codes)).repeat_interleave(level.stride, dim=-1)
    return found


class Drawn:
    """In place of torch.randn: the noise of each of our decoder's stages in turn."""

    def __init__(self, model: Snac, codes: Tensor, seeds: Sequence[int]):
        drawn, lengths = Noise(seeds, len(codes)), model.decoder.lengths(codes.shape[-1] * model.config.strides[0])
        self.stages = iter([drawn.normal(1, length, like=torch.zeros(())) for length in lengths])

    def __call__(self, size: tuple[int, ...], **_: object) -> Tensor:
        drawn = next(self.stages)
        assert drawn.shape == size
        return drawn


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", (0, pytest.param(1, marks=pytest.mark.slow)))
@torch.no_grad()
def test_codes_and_audio_equal_the_authors(kind: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = alive(kind, seed)
    mine, strides = ours(kind, model), CONFIGS[kind].strides
    for shape in ((1, 1, CONFIGS[kind].sample_rate), (3, 1, 10_001), (1, 1, 1)):
        wav = noise(shape, seed)
        expected = model.encode(wav)
        codes = columns(expected, strides)
        found = mine.encode(wav)
        assert found.shape == codes.shape
        wrong = found != codes
        assert wrong.float().mean() < 2e-3, "more than ties"
        for level, (points, directions) in enumerate(level_points(model, wav, expected)):
            _only_ties(found, codes, level, strides, points, directions)
        seeds = range(7, 7 + len(codes))
        monkeypatch.setattr(torch, "randn", Drawn(mine, codes, seeds))
        theirs = model.decode(expected)
        monkeypatch.undo()
        torch.testing.assert_close(mine.decode(codes, seeds), theirs, rtol=0, atol=1e-5)
        assert shape[-1] < 5000 or len(codes.unique()) > 50


def _only_ties(found: Tensor, codes: Tensor, level: int, strides: tuple[int, ...], points: Tensor, directions: Tensor) -> None:
    """Where a level's code differs first in a clip's frame, both codes are equally near but for rounding."""
    begin = sum(strides[0] // s for s in strides[:level])
    part = slice(begin, begin + strides[0] // strides[level])
    if level and (found[:, :begin] != codes[:, :begin]).any():
        return  # an earlier tie changes what this level sees
    mine, theirs = (x[:, part].transpose(1, 2).flatten() for x in (found, codes))
    unit = torch.nn.functional.normalize(points.transpose(1, 2).flatten(0, 1).double())
    for at in (mine != theirs).nonzero().flatten().tolist():
        a, b = (float(unit[at] @ directions[int(x[at])].double()) for x in (mine, theirs))
        assert abs(a - b) < 1e-5, "not a tie"
