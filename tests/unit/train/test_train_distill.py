"""A first codebook drawn towards a teacher's features: the loss is what it says, it falls, and nothing of it is shipped."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from bench import registry
from bench.api import UserError
from bench.data import synthetic_audio
from bench.data.manifests import open_data
from bench.nn.quantize import Codebook
from bench.tokenizers.dac import VARIANTS as DAC
from bench.tokenizers.mimi import VARIANTS as MIMI
from bench.train import codebooks
from bench.train.augment import Augment
from bench.train.data import Track, pack
from bench.train.distill import Teaching, first_points, teaching
from bench.train.loop import train
from bench.train.losses import LossConfig
from bench.train.recipes import RECIPES
from tests import training

pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = replace(
    training.QUICK,
    seconds=0.8,
    rate=3e-3,
    plain=8,
    ema=RECIPES["mimi"].ema,
    report_every=1,
    augment=Augment(speeds=(0.9, 1.0)),
    loss=LossConfig(distill=3.0),
    distill="mfcc_kmeans@tiny",
)


@pytest.mark.parametrize("line", [MIMI["tiny"], DAC["tiny"]], ids=["residual", "factorised"])
def test_the_first_points_are_what_the_first_code_is_the_nearest_to(line: registry.Variant):
    model = line.load(line.spec)
    assert isinstance(model, nn.Module)
    latents = torch.randn(2, codec_width(model), 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    part = codebooks.quantizers(model)[0]
    points = first_points(model, latents)
    first = part.codebooks()[0]
    codes = first.encode(codebooks.flat(points)).view(2, 6) if isinstance(first, Codebook) else first.nearest(points)
    assert torch.equal(codes, part.encode(latents.detach(), 1)[:, 0])
    (gradient,) = torch.autograd.grad(points.square().sum(), latents)
    assert bool(gradient.any())


def codec_width(model: nn.Module) -> int:
    """D of a model's latents."""
    part = codebooks.quantizers(model)[0]
    return part.codebooks()[0].in_proj.in_channels if not hasattr(part, "input_proj") else part.input_proj.in_channels  # type: ignore


@torch.no_grad()
def test_each_frame_learns_from_the_mean_of_the_teachers_frames_within_it():
    values = torch.zeros(40, 2)
    values[:20, 0] = 1  # 0.4 s of one thing, 0.4 s of another, at 50 Hz
    values[20:, 1] = 1
    track = Track(values, torch.zeros(1, dtype=torch.int64), torch.tensor([40]), torch.ones(1, dtype=torch.float64), 50.0, 0.01)
    teacher = Teaching(track, torch.full((2,), 0.5), torch.tensor([[1.0], [-1.0]]))  # their difference: 1 and then -1
    right = torch.tensor([[[1.0] * 5 + [-1.0] * 5]])  # ten frames of 80 ms
    clip, start = torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.float64)

    def missed(points: Tensor, start: Tensor) -> float:
        return float(teacher.loss(points, clip, start, 0.8))

    assert missed(right, start) == pytest.approx(0, abs=1e-12)
    assert missed(0 * right, start) == pytest.approx(1)
    assert missed(-right, start) == pytest.approx(4)
    assert missed(torch.cat([right, 7 + right], dim=1), start) == pytest.approx(0, abs=1e-12)  # what is beside the axes is free
    later = torch.tensor([0.04], dtype=torch.float64)  # half a frame: the fifth one hears both things alike
    assert missed(right, later) == pytest.approx((4 * 0 + 1 + 5 * 0) / 10)


def test_the_teachers_axes_hold_most_of_its_variance(make_data: Callable[..., Path]):
    clips = open_data(str(make_data(4, seconds=1.0, rate=24_000))).clips
    corpus = pack(clips, 24_000, 9_600, Augment(speeds=(1.0,)), heldout=1, seed=0)
    all_of_it, some = (teaching("mfcc_kmeans@tiny", corpus, width, "cpu") for width in (64, 8))
    assert all_of_it.axes.shape == (39, 39) and some.axes.shape == (39, 8)
    for found in (all_of_it, some):
        on_axes = (found.features.values.float() - found.middle) @ found.axes
        assert float(on_axes.var(0, correction=0).mean()) == pytest.approx(1, abs=1e-3)
        covariance = on_axes.T @ on_axes / len(on_axes)
        assert float((covariance - covariance.diag().diag()).abs().max()) < 0.01 * float(covariance.diag().max())
    values = some.features.values.float() - some.middle
    direction = some.axes / some.axes.norm(dim=0)
    assert float((values @ direction).square().sum() / values.square().sum()) > 0.8


def test_the_teacher_hears_recordings_at_their_own_speed(make_data: Callable[..., Path]):
    clips = open_data(str(make_data(4, seconds=1.0, rate=24_000))).clips
    corpus = pack(clips, 24_000, 9_600, Augment(speeds=(0.8, 1.0)), heldout=1, seed=0)
    found = teaching("mfcc_kmeans@tiny", corpus, 32, "cpu").features
    assert found.values.shape[1] == 39 and found.rate == 100
    assert found.speeds.tolist() == [0.8, 1.0] * (len(corpus.starts) // 2)
    assert torch.equal(found.counts[::2], found.counts[1::2])
    assert int(found.counts[0]) == pytest.approx(int(corpus.lengths[1]) / 240, abs=3)


def log(folder: Path, key: str) -> list[float]:
    return [facts[key] for facts in map(json.loads, (folder / "log.jsonl").read_text().splitlines()) if key in facts]


@pytest.fixture
def one_crop(tmp_path: Path) -> str:
    """A folder of two clips as long as a crop, of which one is held out: every step sees the other."""
    (tmp_path / "voices").mkdir()
    for i, wav in enumerate(synthetic_audio.voice((2, 1, 19_200), 24_000, 0)):
        soundfile.write(tmp_path / "voices" / f"{i}.wav", wav[0].numpy(), 24_000)
    return str(tmp_path / "voices")


def test_the_distance_falls_and_nothing_of_the_teacher_is_shipped(one_crop: str, tmp_path: Path):
    same = Augment(gain=(0.0, 0.0), speeds=(1.0,), image=0.0)
    alone = LossConfig(mel=0.0, stft=0.0, wave=0.0, commit=0.0, distill=1.0)
    quick = replace(QUICK, plain=30, augment=same, loss=alone)
    taught = load_file(train("mimi", one_crop, tmp_path / "taught", 40, variant="tiny", recipe=quick))
    distance = log(tmp_path / "taught", "distill")
    assert len(distance) == 36  # the encoder stands still in the last four
    assert distance[-1] < 0.8 * distance[0], distance
    plain = load_file(train("mimi", one_crop, tmp_path / "plain", 1, variant="tiny", recipe=replace(QUICK, distill="")))
    assert taught.keys() == plain.keys()


def test_a_taught_run_goes_on_to_the_very_same_weights(make_data: Callable[..., Path], tmp_path: Path):
    from bench.train import codec

    data = str(make_data(4, seconds=1.5, rate=24_000))
    whole = load_file(train("mimi", data, tmp_path / "whole", 12, variant="tiny", recipe=QUICK))
    with training.interrupted(codec, at=7):
        train("mimi", data, tmp_path / "killed", 12, variant="tiny", recipe=QUICK, save_every=5)
    resumed = load_file(train("mimi", data, tmp_path / "killed", 12, variant="tiny", recipe=QUICK, resume=True))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize(("teacher", "message"), [("hubert", "no tokenizer is called 'hubert'"), ("mulaw", "has no k-means codebook")])
def test_a_teacher_needs_features(make_data: Callable[..., Path], tmp_path: Path, teacher: str, message: str):
    data = str(make_data(4, seconds=1.5, rate=24_000))
    with pytest.raises(UserError, match=message):
        train("mimi", data, tmp_path / "run", 2, variant="tiny", recipe=replace(QUICK, distill=teacher))
