"""bench train hubert_kmeans on synthetic voices: hidden frames are told, runs resume, and the file is a tokenizer."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from bench import registry
from bench.api import UserError
from bench.conformance.rules import check
from bench.data.manifests import open_data
from bench.nn.hubert import Hubert
from bench.train import hubert, layers
from bench.train.data import Augment, Track, at_all_speeds, frames_at, pack, recorded
from bench.train.kmeans import fit
from bench.train.layers import Layer, steady, together
from bench.train.loop import train
from bench.train.recipes import UNIT_RECIPES, UnitRecipe
from tests import training

pytestmark = pytest.mark.usefixtures("one_thread")

pytest.importorskip("sklearn", reason="the units of bench train need scikit-learn")
QUICK = UnitRecipe(
    seconds=1.0, batch=4, rise=0.05, units=20, label=16, augment=Augment(speeds=(0.89, 1.0), image=0.0), heldout=1, report_every=2, ema=0.8
)
MINI = registry.variant("hubert_kmeans@mini")


@pytest.fixture
def voices(make_data: Callable[..., Path]) -> str:
    """A manifest of four clips, one of them music."""
    return str(make_data(4, seconds=2.0))


def log(folder: Path, key: str) -> list[float]:
    return [facts[key] for facts in map(json.loads, (folder / "log.jsonl").read_text().splitlines()) if key in facts]


def test_the_loss_falls_and_the_file_is_a_tokenizer(voices: str, tmp_path: Path):
    weights = train("hubert_kmeans", voices, tmp_path / "run", 30, recipe=QUICK, save_every=30)
    loss = log(tmp_path / "run", "loss")
    assert sum(loss[-3:]) < 0.85 * sum(loss[:3]), loss
    assert log(tmp_path / "run", "heldout_loss")[0] < math.log(20)
    assert weights.stat().st_size < 10e6
    variant = registry.with_weights(MINI, weights)
    assert variant.spec.weights.count("+") == 0, "one file is named once"
    findings = check(variant, lambda: registry.load_tokenizer(variant))
    assert not [f"{finding.name}: {finding.detail}" for finding in findings if finding.outcome == "fail"]
    features, wav = registry.load_features(variant), torch.randn(1, 1, 5_000) * 0.1
    centroids = load_file(weights)["centroids"].float()
    units = torch.cdist(features(wav).double(), centroids.double()[None]).argmin(-1)
    assert torch.equal(registry.load_tokenizer(variant).encode(wav)[:, 0], units)


def test_a_run_that_stops_goes_on_to_the_very_same_weights(voices: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = load_file(train("hubert_kmeans", voices, tmp_path / "whole", 6, recipe=QUICK))
    with training.interrupted(hubert, at=5):
        train("hubert_kmeans", voices, tmp_path / "killed", 6, recipe=QUICK, save_every=2)
    monkeypatch.setattr(hubert, "cluster", None)  # what the units are stands in the checkpoint
    resumed = load_file(train("hubert_kmeans", voices, tmp_path / "killed", 6, recipe=QUICK, resume=True))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_codebook_fitted_anew_keeps_its_encoder(voices: str, tmp_path: Path):
    weights = train("hubert_kmeans", voices, tmp_path / "run", 2, recipe=QUICK)
    variant = registry.with_weights(MINI, weights)
    fit(variant, open_data(voices), tmp_path / "anew.safetensors")
    old, new = load_file(weights), load_file(tmp_path / "anew.safetensors")
    assert old.keys() == new.keys()
    assert [name for name in old if not torch.equal(old[name].float(), new[name].float())] == ["centroids"]
    assert registry.load_tokenizer(registry.with_weights(MINI, tmp_path / "anew.safetensors")).encode(torch.randn(1, 1, 900)).shape == (
        1,
        1,
        2,
    )


def test_the_file_ends_at_the_steadiest_layer(voices: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    values = {1: 0.2, 2: 0.5, 3: 0.4, 4: 0.1, 5: 0.3}

    def fitted(run: hubert.UnitRun, encoder: Hubert) -> list[Layer]:
        return [Layer(number, torch.full((100, 256), float(number)), value) for number, value in values.items()]

    monkeypatch.setattr(layers, "fitted", fitted)
    state = load_file(train("hubert_kmeans", voices, tmp_path / "run", 1, recipe=QUICK))
    assert {int(name.split(".")[1]) for name in state if name.startswith("layers.")} == {0, 1}
    assert float(state["centroids"].float().mean()) == 2


def test_steady_units_share_all_their_information_and_independent_ones_none():
    assert steady(torch.diag(torch.tensor([3.0, 5, 1]))) == pytest.approx(1)
    assert steady(torch.outer(torch.tensor([3.0, 5]), torch.tensor([1.0, 2, 4]))) == pytest.approx(0, abs=1e-12)
    shares = torch.tensor([[0.4, 0.1], [0.1, 0.4]], dtype=torch.float64)
    information = math.log(2) - (-0.8 * math.log(0.4) - 0.2 * math.log(0.1) - math.log(2))
    assert steady(shares) == pytest.approx(information / math.log(2))


def test_units_meet_those_of_the_same_moment_at_another_speed():
    units = torch.arange(8)
    faster = units[::2]  # at twice the speed half as many frames, each of the moment of every second one
    table = together(units, faster, 2.0, 8)
    assert table.sum() == 4
    met = table.nonzero().tolist()
    assert all(abs(a - b) <= 1 for a, b in met), met  # a frame's middle lies between two of the other speed's


def test_hidden_frames_lie_in_spans():
    recipe = UNIT_RECIPES["hubert_kmeans"]
    hidden = hubert.spans(recipe, 50, 200, torch.Generator().manual_seed(0))
    assert hidden.shape == (50, 200)
    assert 0.4 < hidden.float().mean() < 0.62  # 16 starts of 10 frames, some of them overlapping
    for row in hidden.long():
        edges = torch.nn.functional.pad(row, (1, 1)).diff()
        begins, ends = (edges == 1).nonzero()[:, 0], (edges == -1).nonzero()[:, 0]
        assert int((ends - begins).min()) >= recipe.span
    assert torch.equal(hidden, hubert.spans(recipe, 50, 200, torch.Generator().manual_seed(0)))
    assert hubert.spans(recipe, 2, 10, torch.Generator().manual_seed(0)).all()


def test_frames_are_found_at_any_speed():
    values = torch.arange(30)
    track = Track(
        values, torch.tensor([0, 20, 0]), torch.tensor([20, 10, 20]), torch.tensor([1.0, 1.0, 2.0], dtype=torch.float64), 10, 0.05
    )
    at = torch.tensor([[0.0, 0.05, 0.26, 9.0]], dtype=torch.float64)
    assert frames_at(track, torch.tensor([0]), at).tolist() == [[0, 0, 2, 19]]
    assert frames_at(track, torch.tensor([1]), at).tolist() == [[20, 20, 22, 29]]
    assert frames_at(track, torch.tensor([2]), at).tolist() == [[0, 0, 5, 19]]


def test_every_speed_has_the_frames_of_its_recording(make_data: Callable[..., Path]):
    clips = open_data(str(make_data(6, seconds=1.0))).clips
    corpus = pack(clips, 16_000, 8_000, Augment(speeds=(0.8, 1.0, 1.25)), heldout=1, seed=0)
    wavs = recorded(corpus)
    assert len(wavs) == len(corpus.starts) // 3 >= 2
    track = at_all_speeds(Track(torch.arange(9), torch.arange(len(wavs)), torch.ones(len(wavs)).long(), torch.ones(1), 50, 0), corpus)
    assert track.starts.tolist() == [i for i in range(len(wavs)) for _ in range(3)]
    assert track.speeds.tolist() == [0.8, 1.0, 1.25] * len(wavs)
    assert [len(wav) for wav in wavs] == pytest.approx(corpus.lengths[1::3].tolist(), abs=50)


def test_a_clip_keeps_its_units_when_it_plays_at_another_speed(voices: str):
    run = hubert.prepare("hubert_kmeans", "mini", voices, QUICK, 0, "cpu")
    track = hubert.label(run)
    assert len(track.starts) == len(run.corpus.starts)
    own, other = (frames_at(track, torch.tensor([i]), torch.tensor([[0.5 / speed]]).double()) for i, speed in ((1, 1.0), (0, 0.89)))
    assert torch.equal(own, other)
    assert int(track.values.max()) < 20 and len(track.values.unique()) > 10


def test_a_short_clip_comes_without_the_zeros_that_fill_it(make_data: Callable[..., Path]):
    clips = open_data(str(make_data(4, seconds=0.5))).clips
    corpus = pack(clips, 16_000, 16_000, Augment(speeds=(1.0,)), heldout=1, seed=0)
    assert set(corpus.lengths.tolist()) == {16_000}
    assert all(7_900 < len(wav) < 13_000 for wav in recorded(corpus))


def test_a_hidden_frame_is_not_heard(voices: str):
    run = hubert.prepare("hubert_kmeans", "mini", voices, replace(QUICK, bf16=False), 0, "cpu")
    one, two = torch.randn(2, 1, hubert.samples(30), generator=torch.Generator().manual_seed(0))
    hidden = torch.ones(1, 30, dtype=torch.bool)
    with torch.no_grad():
        assert torch.equal(run.learner(one, hidden), run.learner(two, hidden))
        hidden[0, 3] = False
        assert not torch.equal(run.learner(one, hidden), run.learner(two, hidden))


def test_cepstra_say_nothing_of_the_level():
    wav = 0.1 * torch.randn(1, 1, 8_000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(hubert.cepstra(wav), hubert.cepstra(4 * wav), rtol=1e-3, atol=1e-3)


def test_visible_frames_count_in_the_first_half_only(voices: str):
    def moved(step: int, visible: float) -> Tensor:
        run = hubert.prepare("hubert_kmeans", "mini", voices, replace(QUICK, bf16=False, visible=visible), 0, "cpu")
        run.step = step
        hubert.one_step(run, 20)
        return run.learner.project.weight.detach()

    assert not torch.equal(moved(2, 0.0), moved(2, 0.5))
    assert torch.equal(moved(10, 0.0), moved(10, 0.5))


def test_the_gradient_reaches_all_that_learns(voices: str):
    run = hubert.prepare("hubert_kmeans", "mini", voices, replace(QUICK, bf16=False), 0, "cpu")
    hubert.one_step(run, 10)
    silent = [name for name, value in run.model.named_parameters() if value.grad is None or not value.grad.any()]
    assert silent == []


def test_wrong_words_are_one_line(make_data: Callable[..., Path], tmp_path: Path):
    with pytest.raises(UserError, match="no recipe for 'wavlm_kmeans': there is one for .*hubert_kmeans"):
        train("wavlm_kmeans", "mini", tmp_path, 2)
    manifest = make_data(3)
    music = [line for line in manifest.read_text().splitlines() if '"music"' in line]
    manifest.write_text("\n".join(music))
    with pytest.raises(UserError, match="holds no speech"):
        train("hubert_kmeans", str(manifest), tmp_path / "run", 2, recipe=QUICK)
