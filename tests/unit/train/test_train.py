"""bench train on synthetic voices with mimi@tiny: it learns, it resumes, it survives a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bench.api import UserError
from bench.data.manifests import open_data
from bench.nn.quantize import Codebook, ResidualQuantizer
from bench.throughput import memory
from bench.tokenizers.mimi import VARIANTS, Mimi
from bench.train import codebooks
from bench.train.data import Augment, crops, mono, pack
from bench.train.loop import train
from bench.train.losses import LossConfig, Magnitude, SpectralLoss, mel_filters
from tests import training

pytestmark = pytest.mark.usefixtures("one_thread")
ROOT = Path(__file__).resolve().parents[3]
QUICK = replace(training.QUICK, rate=3e-3, plain=4)
CHILD = f"""
import runpy, sys
from pathlib import Path
from bench.train.loop import train
recipe = runpy.run_path({__file__!r})["QUICK"]
train("mimi", sys.argv[1], Path(sys.argv[2]), 16, save_every=3, resume=True, variant="tiny", recipe=recipe)
"""


def log(folder: Path, key: str) -> list[float]:
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [facts[key] for facts in map(json.loads, lines) if key in facts]


def tiny() -> Mimi:
    spec = VARIANTS["tiny"].spec
    model = VARIANTS["tiny"].load(spec)
    assert isinstance(model, Mimi)
    return model


def test_the_loss_falls_and_the_weights_load_strictly(make_data: Callable[..., Path], tmp_path: Path):
    data = make_data(4, seconds=1.0, rate=24_000)
    weights = train("mimi", str(data), tmp_path / "run", 30, recipe=replace(QUICK, rate=1e-3), save_every=30)
    mel = log(tmp_path / "run", "mel")  # each the mean of two steps
    assert sum(mel[-4:-1]) < 0.7 * sum(mel[:3]), mel
    line = VARIANTS["mini"]
    model = line.load(line.spec, weights)
    wav = torch.randn(1, 1, 5000) * 0.1
    assert model.decode(model.encode(wav)).shape == (1, 1, 5760)


def test_a_killed_run_goes_on_to_the_very_same_weights(make_data: Callable[..., Path], tmp_path: Path):
    data = make_data(4, seconds=1.0, rate=24_000)
    whole = load_file(train("mimi", str(data), tmp_path / "whole", 16, variant="tiny", recipe=QUICK))
    folder = tmp_path / "killed"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(data), str(folder)], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (folder / "checkpoint.pt").exists() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, "it had ended before it could be killed"
    saved = torch.load(folder / "checkpoint.pt", weights_only=True)["step"]
    assert 3 <= saved < 16 and saved % 3 == 0
    resumed = load_file(train("mimi", str(data), folder, 16, variant="tiny", recipe=QUICK, resume=True))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    steps = log(folder, "step")
    assert len(steps) == len(set(zip(steps, map(str, steps), strict=True))) + 1  # only the last step has two lines: losses and scores


def test_a_run_from_weights_begins_where_they_ended(make_data: Callable[..., Path], tmp_path: Path):
    data = make_data(4, seconds=1.0, rate=24_000)
    weights = train("mimi", str(data), tmp_path / "first", 30, variant="tiny", recipe=replace(QUICK, rate=1e-3))
    slow = replace(QUICK, rate=1e-6, plain=1000, bypass=0.0, dropout=0.0, ema=0.0)  # it stays what it was, and has codes from step 0
    begun = load_file(train("mimi", str(data), tmp_path / "begun", 2, variant="tiny", recipe=slow, weights=weights))
    first = load_file(weights)
    assert all(torch.allclose(begun[name].float(), first[name].float(), atol=0.05) for name in first if "embedding_sum" not in name)
    assert log(tmp_path / "begun", "stoi")[0] == pytest.approx(log(tmp_path / "first", "stoi")[-1], abs=0.02)
    assert torch.load(tmp_path / "begun" / "checkpoint.pt", weights_only=True)["started"] == 0
    train("mimi", str(data), tmp_path / "begun", 3, resume=True, variant="tiny", recipe=slow)  # the word need not be said again
    assert "| begun from | `weights.safetensors`, sha256 `" in (tmp_path / "begun" / "card.md").read_text()
    with pytest.raises(UserError, match=r"was begun from `weights.safetensors`, .*: leave --weights out"):
        train("mimi", str(data), tmp_path / "begun", 4, resume=True, variant="tiny", recipe=slow, weights=tmp_path / "begun" / weights.name)
    with pytest.raises(UserError, match="leave --weights out"):
        train("hubert_kmeans", str(data), tmp_path / "units", 2, weights=weights)


def test_a_run_may_begin_with_networks_of_a_file_whose_codebooks_are_of_another_kind(make_data: Callable[..., Path], tmp_path: Path):
    data = str(make_data(4, seconds=1.0, rate=24_000))
    first = load_file(train("mimi", data, tmp_path / "first", 30, variant="tiny", recipe=replace(QUICK, rate=1e-3)))
    fewer = {name: value[:32] if "rvq_rest.layers" in name and value.ndim else value for name, value in first.items()}
    save_file(
        {name: value.contiguous() for name, value in fewer.items() if "rvq_rest.layers.2" not in name}, tmp_path / "fewer.safetensors"
    )
    slow = replace(QUICK, rate=1e-6, ema=0.0)
    weights = tmp_path / "fewer.safetensors"
    begun = train("mimi", data, tmp_path / "begun", 30, variant="tiny", recipe=slow, weights=weights, new_codebooks=True)
    for name, value in load_file(begun).items():
        if not name.startswith("quantizer.") or "_proj" in name:
            torch.testing.assert_close(value.float(), first[name].float(), atol=0.01, rtol=0.01)
        elif name.endswith("layers.0.embedding_sum"):
            assert value.shape == (64, 8) and not torch.equal(value, first[name])
    with pytest.raises(UserError, match="does not fit"):
        train("mimi", data, tmp_path / "strict", 2, variant="tiny", recipe=slow, weights=weights)
    assert not (tmp_path / "strict").exists()
    with pytest.raises(UserError, match="belongs to --weights"):
        train("mimi", data, tmp_path / "alone", 2, variant="tiny", recipe=slow, new_codebooks=True)


def test_codebooks_of_a_file_weigh_what_batches_would_have_made_them():
    model = tiny()
    books = [part for part in model.modules() if isinstance(part, Codebook)]
    before = [book.vectors()[0].clone() for book in books]
    codebooks.keep(model, frames=16)
    for book, vectors in zip(books, before, strict=True):
        torch.testing.assert_close(book.vectors()[0], vectors)
        assert torch.all(book.cluster_usage == 16 / book.size)


def test_a_folder_with_a_run_is_not_overwritten(make_data: Callable[..., Path], tmp_path: Path):
    data = make_data(4, seconds=1.0, rate=24_000)
    train("mimi", str(data), tmp_path / "run", 2, variant="tiny", recipe=QUICK)
    with pytest.raises(UserError, match="--resume"):
        train("mimi", str(data), tmp_path / "run", 2, variant="tiny", recipe=QUICK)
    with pytest.raises(UserError, match="seed 0, not 1"):
        train("mimi", str(data), tmp_path / "run", 2, seed=1, variant="tiny", recipe=QUICK, resume=True)
    with pytest.raises(UserError, match="no recipe for 'flac'"):
        train("flac", str(data), tmp_path / "other", 2)
    with pytest.raises(UserError, match="device 'gpu' cannot be used"):
        train("mimi", str(data), tmp_path / "other", 2, device="gpu")


def test_no_crop_comes_from_a_held_out_speaker(make_data: Callable[..., Path]):
    clips = open_data(str(make_data(4, seconds=1.0, rate=24_000))).clips
    corpus = pack(clips, 24_000, 9_600, Augment(speeds=(1.0,)), heldout=1, seed=0)
    speakers = {clip.speaker for clip in clips if clip.domain == "speech"}
    assert len(speakers) >= 2
    assert len(corpus.lengths) + len(corpus.heldout) == len(clips)


def test_crops_depend_on_seed_and_step_alone(make_data: Callable[..., Path]):
    clips = open_data(str(make_data(4, seconds=1.0, rate=24_000))).clips
    corpus = pack(clips, 24_000, 9_600, Augment(), heldout=1, seed=0)
    one = crops(corpus, 3, 9_600, Augment(), 0, 7)
    torch.manual_seed(5)
    assert torch.equal(one, crops(corpus, 3, 9_600, Augment(), 0, 7))
    assert not torch.equal(one, crops(corpus, 3, 9_600, Augment(), 0, 8))
    assert one.abs().max() < 1 and one.shape == (3, 1, 9_600)


def test_the_image_of_a_16_khz_recording_lies_above_8_khz(make_data: Callable[..., Path]):
    clip = open_data(str(make_data(2, seconds=1.0, rate=16_000))).clips[0]
    plain, image = (torch.fft.rfft(wav).abs().square() for wav in mono(clip, 24_000))
    edge = len(plain) * 8 // 12
    assert plain[edge + 200 :].sum() < 1e-4 * plain.sum()
    assert image[: edge - 200].sum() < 1e-3 * image.sum()


def test_magnitude_has_the_right_gradient():
    frames = torch.randn(3, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(Magnitude.apply, (frames,))


def test_mel_filters_are_whole_and_in_order():
    filters = mel_filters(80, 513, 24_000)
    assert torch.allclose(filters.sum(0), torch.ones(80))
    centres = (filters * torch.arange(513)[:, None]).sum(0)
    assert bool((centres.diff() > 0).all())


def test_the_loss_is_zero_for_the_same_sound_and_grows_with_noise():
    wav = torch.randn(2, 12_000, generator=torch.Generator().manual_seed(0)) * 0.1
    loss = SpectralLoss(LossConfig(envelope=1.0), 24_000)
    noise = torch.randn(wav.shape, generator=torch.Generator().manual_seed(1)) * 0.1
    found = [loss(wav, wav + level * noise) for level in (0.0, 0.1, 1.0)]
    for name in ("mel", "stft", "envelope"):
        values = [float(terms[name]) for terms in found]
        assert abs(values[0]) < 1e-6 and values[0] < values[1] < values[2], name


def test_envelopes_are_compared_by_correlation_in_each_band():
    loss = SpectralLoss(LossConfig(envelope=1.0), 16_000)
    swing = 0.9 * torch.cos(2 * torch.pi * 5 * torch.arange(16_000) / 16_000)  # five times a second
    hiss = 0.1 * torch.randn(16_000, generator=torch.Generator().manual_seed(0))
    ref, against = ((1 + way * swing)[None] * hiss for way in (1, -1))
    assert loss.octaves.shape == (321, 17) and int(loss.octaves.sum(1).max()) == 1
    assert float(loss.envelope(ref, 0.5 * ref)) < 1e-3  # loudness does not count
    assert float(loss.envelope(ref, against)) > 1.2  # what rises where it should fall
    assert 0.1 < float(loss.envelope(ref, hiss[None])) < 1  # what stays as it is


def test_fitting_again_brings_codebooks_nearer_to_the_latents():
    model = tiny()
    latents = torch.randn(40, 32, 10, generator=torch.Generator().manual_seed(0))
    codebooks.start(model, latents[:10], torch.Generator().manual_seed(0))

    @torch.no_grad()
    def error() -> float:
        part = codebooks.quantizers(model)[1]
        assert isinstance(part, ResidualQuantizer)
        points = codebooks.projected(part, latents)
        for codebook in part.codebooks():
            points = points - codebook.decode(codebook.encode(points))
        return float(points.square().mean())

    before = error()
    codebooks.refit(model, latents)
    assert error() < 0.9 * before
    assert all(bool(part.initialized) for part in model.modules() if isinstance(part, Codebook))


def test_a_settled_run_may_go_through_the_same_batches_and_search_each_once(
    make_data: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    data = str(make_data(4, seconds=1.0, rate=24_000))
    weights = train("mimi", data, tmp_path / "first", 6, variant="tiny", recipe=QUICK)
    kind, searched = type(tiny().quantizer), 0
    plain = kind.encode

    def counted(self: nn.Module, x: Tensor, levels: int) -> Tensor:
        nonlocal searched
        assert isinstance(self, kind)
        searched += self.training or x.shape[0] == QUICK.batch
        return plain(self, x, levels)

    monkeypatch.setattr(kind, "encode", counted)
    still = replace(QUICK, settle=1.0, plain=0)  # the first step goes as ever, all others are settled
    made, calls = {}, {}
    for pool in (0, 9, 2):
        searched = 0
        made[pool] = load_file(
            train("mimi", data, tmp_path / str(pool), 7, variant="tiny", recipe=replace(still, pool=pool), weights=weights)
        )
        calls[pool] = searched
    assert calls == {0: 6, 9: 6, 2: 2}
    assert all(torch.equal(made[0][name], made[9][name]) for name in made[0])  # kept codes are those that a search would find
    assert not all(torch.equal(made[0][name], made[2][name]) for name in made[0])


FREES = """
import torch
from bench.throughput import memory
from bench.train.heap import kept_memory

def left():
    before = memory.held()
    torch.ones(50_000_000)  # 200 MB
    return memory.held() - before

torch.ones(1)
with kept_memory():
    print(left())
memory.settled()
print(left())
"""


@pytest.mark.skipif(not memory.RESET.exists(), reason="this system does not tell what a process holds")
def test_freed_memory_is_kept_while_training_and_given_back_afterwards():
    # in a process of its own: where something lies behind the heap, it cannot grow, and large blocks go back in any case
    said = subprocess.run([sys.executable, "-c", FREES], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    kept, left = map(float, said.split())
    assert kept > 190e6 and left < 10e6


@pytest.mark.parametrize("pays, wrong", [(True, ""), (False, ""), (True, "torch computes a product wrongly")])
def test_a_processor_that_is_slow_or_wrong_at_bfloat16_trains_in_float32(
    pays: bool,
    wrong: str,
    make_data: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    data = str(make_data(3, seconds=1.0, rate=24_000))
    full = load_file(train("mimi", data, tmp_path / "float32", 3, variant="tiny", recipe=replace(QUICK, bf16=False)))
    monkeypatch.setattr("bench.train.loop.bfloat16_pays", lambda: pays)
    monkeypatch.setattr("bench.train.loop.refusal", lambda found, dtype: wrong)  # whatever this processor does
    given = load_file(train("mimi", data, tmp_path / "run", 3, variant="tiny", recipe=replace(QUICK, bf16=True)))
    half = pays and not wrong
    assert all(torch.equal(given[name], full[name]) for name in full) is not half
    told = capsys.readouterr().err
    assert ("float32" in told) is not half and wrong in told
    assert log(tmp_path / "run", "step") == log(tmp_path / "float32", "step")
