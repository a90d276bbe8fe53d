"""A first codebook drawn towards a teacher's features: the loss is what it says, it falls, and nothing of it is shipped."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from bench import registry
from bench.api import UserError
from bench.data import open_data
from bench.tokenizers.dac import VARIANTS as DAC
from bench.tokenizers.mimi import VARIANTS as MIMI
from bench.train import codebooks
from bench.train.augment import Augment
from bench.train.data import Track, pack
from bench.train.distill import Teaching, first_output, teaching
from bench.train.loop import train
from bench.train.losses import LossConfig
from bench.train.recipes import RECIPES

pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = replace(
    RECIPES["mimi"],
    seconds=0.8,
    batch=2,
    rate=3e-3,
    rise=3,
    plain=8,
    start=12,
    refit=12,
    bypass=0.2,
    heldout=1,
    report_every=1,
    check_every=100,
    augment=Augment(speeds=(0.9, 1.0)),
    loss=LossConfig(distill=3.0),
    adversarial=None,
    distill="mfcc_kmeans@tiny",
)


@pytest.mark.parametrize("line", [MIMI["tiny"], DAC["tiny"]], ids=["residual", "factorised"])
def test_the_first_output_is_what_the_first_code_decodes_to(line: registry.Variant):
    model = line.load(line.spec)
    assert isinstance(model, nn.Module)
    latents = torch.randn(2, codec_width(model), 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    quantizer = model.get_submodule("quantizer")
    codes = quantizer.encode(latents.detach(), 2)  # type: ignore[operator]
    first = first_output(model, latents, codes)
    torch.testing.assert_close(first, quantizer.decode(codes[:, :1]))  # type: ignore[operator]
    (gradient,) = torch.autograd.grad(first.square().sum(), latents)
    assert bool(gradient.any())
    assert not torch.allclose(first_output(model, latents, None), first)


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
    project = nn.Conv1d(2, 2, 1, bias=False)
    with torch.no_grad():
        project.weight.copy_(torch.eye(2)[..., None])
    teacher = Teaching(track, project)
    right = torch.tensor([[1.0] * 5 + [0.0] * 5, [0.0] * 5 + [1.0] * 5])[None]  # ten frames of 80 ms
    clip, start = torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.float64)
    assert float(teacher.loss(3 * right, clip, start, 0.8)) == pytest.approx(0, abs=1e-6)
    assert float(teacher.loss(right.flip(1), clip, start, 0.8)) == pytest.approx(1)
    assert float(teacher.loss(-right, clip, start, 0.8)) == pytest.approx(2)
    later = torch.tensor([0.04], dtype=torch.float64)  # half a frame: the fifth one hears both things alike
    mean = (4 * 0 + (1 - 0.5**0.5) + 5 * 0) / 10
    assert float(teacher.loss(right, clip, later, 0.8)) == pytest.approx(mean, abs=1e-6)


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


def test_the_distance_falls_and_the_projection_is_not_shipped(make_data: Callable[..., Path], tmp_path: Path):
    data = str(make_data(4, seconds=1.5, rate=24_000))
    taught = load_file(train("mimi", data, tmp_path / "taught", 30, variant="tiny", recipe=QUICK))
    distance = log(tmp_path / "taught", "distill")
    assert len(distance) == 27  # the encoder stands still in the last three
    assert sum(distance[-5:]) < 0.6 * sum(distance[:5]), distance
    plain = load_file(train("mimi", data, tmp_path / "plain", 1, variant="tiny", recipe=replace(QUICK, distill="")))
    assert taught.keys() == plain.keys()
    saved = torch.load(tmp_path / "taught" / "checkpoint.pt", weights_only=True)["beside"]
    assert saved["distill"]["weight"].shape == (39, 32, 1)


def test_a_taught_run_goes_on_to_the_very_same_weights(make_data: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from bench.train import codec

    data = str(make_data(4, seconds=1.5, rate=24_000))
    whole = load_file(train("mimi", data, tmp_path / "whole", 12, variant="tiny", recipe=QUICK))
    step = codec.one_step

    def dies(run: codec.Run, steps: int) -> dict[str, torch.Tensor]:
        if run.step == 7:
            raise KeyboardInterrupt
        return step(run, steps)

    monkeypatch.setattr(codec, "one_step", dies)
    with pytest.raises(KeyboardInterrupt):
        train("mimi", data, tmp_path / "killed", 12, variant="tiny", recipe=QUICK, save_every=5)
    monkeypatch.setattr(codec, "one_step", step)
    resumed = load_file(train("mimi", data, tmp_path / "killed", 12, variant="tiny", recipe=QUICK, resume=True))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize(("teacher", "message"), [("hubert", "no tokenizer is called 'hubert'"), ("mulaw", "has no k-means codebook")])
def test_a_teacher_needs_features(make_data: Callable[..., Path], tmp_path: Path, teacher: str, message: str):
    data = str(make_data(4, seconds=1.5, rate=24_000))
    with pytest.raises(UserError, match=message):
        train("mimi", data, tmp_path / "run", 2, variant="tiny", recipe=replace(QUICK, distill=teacher))
