"""`bench kmeans`: codebooks fitted to any audio, the same for the same seed, no cluster dead; and what the tokenizers do with them."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench import registry
from bench.api import Spec, UserError
from bench.conformance.rules import check
from bench.data.manifests import open_data
from bench.nn.kmeans import Units
from bench.tokenizers import w2vbert_kmeans
from bench.tokenizers.mfcc_kmeans import VARIANTS
from bench.train.kmeans import assign, cluster, fit, gather, revive, weighted
from tests.conftest import ROOT, speech_like

pytest.importorskip("sklearn", reason="bench kmeans needs scikit-learn")
KM50 = VARIANTS["km50"]


def blobs(count: int, each: int, seed: int = 0, spread: float = 0.05) -> tuple[Tensor, Tensor]:
    """`each` points [count * each, 4] around each of `count` distant centres, and the centres."""
    generator = torch.Generator().manual_seed(seed)
    centres = 10 * torch.randn(count, 4, generator=generator)
    return (centres[:, None] + spread * torch.randn(count, each, 4, generator=generator)).flatten(0, 1), centres


def test_clusters_that_are_there_are_found() -> None:
    points, centres = blobs(12, 200)
    found, _ = cluster(points, 12, seed=0)
    assert torch.cdist(centres, found).amin(0).max() < 0.1 and torch.cdist(centres, found).amin(1).max() < 0.1


def test_the_seed_decides_and_nothing_else_does() -> None:
    points = torch.randn(3000, 4, generator=torch.Generator().manual_seed(1))
    first, second, other = (cluster(points, 30, seed)[0] for seed in (3, 3, 4))
    assert torch.equal(first, second) and not torch.equal(first, other)


def test_a_dead_cluster_starts_again_where_points_are_badly_served() -> None:
    points, centres = blobs(6, 50)
    spoilt = centres.clone()
    spoilt[2] = 1e4  # nobody is near
    found, restarted = revive(points, spoilt, torch.Generator().manual_seed(0))
    assert restarted == 1
    assert torch.bincount(assign(points, found)[0], minlength=6).min() > 0
    assert (found[2] - centres[2]).norm() < 1  # among those whose centre was taken away


def test_restarting_gives_up_where_points_are_too_alike() -> None:
    points = torch.zeros(100, 4)
    with pytest.raises(UserError, match="too alike for 3 clusters"):
        revive(points, torch.tensor([[0.0], [5], [6]]).expand(3, 4).clone(), torch.Generator().manual_seed(0))
    with pytest.raises(UserError, match="too few for 30 clusters"):
        cluster(torch.randn(20, 4), 30, seed=0)


def test_weighted_draws_follow_the_weights_and_differ() -> None:
    weights = torch.tensor([0.0, 1, 3, 0, 4])
    generator = torch.Generator().manual_seed(0)
    ones = torch.cat([weighted(weights, 1, generator) for _ in range(4000)])
    share = torch.bincount(ones, minlength=5) / 4000
    assert share.tolist() == pytest.approx([0, 1 / 8, 3 / 8, 0, 4 / 8], abs=0.03)
    assert sorted(weighted(weights, 3, generator).tolist()) == [1, 2, 4]


def test_assign_is_the_nearest_by_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    points, centroids = torch.randn(500, 7), torch.randn(40, 7)
    monkeypatch.setattr("bench.train.kmeans.CHUNK", 64)
    labels, distances = assign(points, centroids)
    expected = torch.cdist(points.double(), centroids.double()).square()
    assert torch.equal(labels, expected.argmin(-1))
    torch.testing.assert_close(distances.double(), expected.amin(-1), rtol=1e-4, atol=1e-5)


def test_a_sample_of_the_frames_is_fair(tmp_path: Path) -> None:
    for i in range(40):
        soundfile.write(tmp_path / f"{i:02}.wav", np.full(1600, i / 64), 16_000)
    numbers = lambda wav: wav[:, 0, ::16, None] * 64  # noqa: E731 (100 frames a clip, each the clip's number)
    data, kept = open_data(str(tmp_path)), []
    for seed in range(10):
        pool = gather(KM50, numbers, data, seed, "cpu", 200, None)
        assert (len(pool.frames), pool.seen, pool.seconds) == (200, 4000, pytest.approx(4.0))
        kept.append(pool.frames[:, 0].round().long())
    share = torch.bincount(torch.cat(kept), minlength=40)
    assert share.min() > 20 and share.max() < 90  # 50 expected, deviation 7
    whole = gather(KM50, numbers, data, 0, "cpu", 10_000, None)
    assert torch.equal(whole.frames[:, 0].round(), torch.arange(40.0).repeat_interleave(100))


@pytest.fixture
def fitted(make_data: Callable[..., Path], tmp_path: Path) -> Path:
    """A codebook of 50 clusters, fitted to four clips."""
    out = tmp_path / "out" / "km50.safetensors"
    fit(KM50, open_data(str(make_data(4, seconds=2.0))), out)
    return out


def test_the_record_says_what_the_codebook_is(fitted: Path) -> None:
    record, centroids = json.loads(fitted.with_suffix(".json").read_text()), load_file(fitted)["centroids"]
    assert centroids.shape == (50, 39) == (record["clusters"], record["dimension"])
    assert record["tokenizer"] == "mfcc_kmeans@km50" and record["clips"] == 4 and record["used"] == 50
    assert 0 < record["explained"] < 1 and 10 < record["perplexity"] <= 50 and record["frames"] == record["frames_seen"] > 800
    assert registry.with_weights(KM50, fitted).spec.weights == f"sha256:{record['sha256']}"


def test_a_fitted_codebook_makes_a_tokenizer_that_keeps_the_contract(fitted: Path) -> None:
    variant = registry.with_weights(KM50, fitted)
    findings = check(variant, lambda: registry.load_tokenizer(variant))
    assert not [f"{finding.name}: {finding.detail}" for finding in findings if finding.outcome == "fail"]
    codes = registry.load_tokenizer(variant).encode(speech_like(2.0, 16_000, 0)[None, None])
    assert len(codes.unique()) > 20


def test_an_encoder_that_is_given_goes_along(make_data: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    family, name = w2vbert_kmeans.FAMILY, "600m-l1-km20"
    monkeypatch.setitem(w2vbert_kmeans.SHAPES, "600m", w2vbert_kmeans.SHAPES["tiny"])
    variant, out = family.variants([name])[name], tmp_path / "both.safetensors"
    save_file(family.shapes["tiny"].encoder(1).state_dict(), tmp_path / "encoder.safetensors")
    fit(registry.with_weights(variant, tmp_path / "encoder.safetensors"), open_data(str(make_data(3, seconds=2.0))), out)
    units = registry.load_tokenizer(registry.with_weights(variant, out))
    assert len(units.encode(speech_like(2.0, 16_000, 0)[None, None]).unique()) > 5
    with pytest.raises(UserError, match="sha256 of w2v-bert-2.0.safetensors is not known here"):
        registry.load_features(variant)


def test_a_codebook_of_another_variant_is_refused(fitted: Path) -> None:
    with pytest.raises(UserError, match=r"is \[50, 39\], this variant's codebook is \[100, 39\]"):
        registry.load_tokenizer(registry.with_weights(VARIANTS["km100"], fitted))


def test_a_clip_that_cannot_be_read_is_counted(make_data: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_data(3).parent
    (folder / "manifest.jsonl").unlink()
    (folder / "broken.wav").write_bytes(b"no audio")
    record = fit(KM50, open_data(str(folder)), tmp_path / "km.safetensors")
    assert (record.clips, record.failures) == (3, 1)


def bench(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "bench", "kmeans", *map(str, words)], capture_output=True, text=True, cwd=ROOT)


def test_the_command_reports_and_the_codebook_is_used(make_data: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "km.safetensors"
    done = bench("mfcc_kmeans@km50", "--data", make_data(3), "--out", out, "--device", "cpu", "--frames", 300)
    assert done.returncode == 0, done.stderr
    for part in ("50 clusters of 39 values, fitted to 300 frames of 3 clips", "inertia", "50 of 50 in use", f"--weights {out}"):
        assert part in done.stdout


@pytest.mark.parametrize(
    ("name", "out", "message"),
    [
        ("mimi@tiny", "x.safetensors", "mimi@tiny has no k-means codebook: choose a variant of cpc_kmeans, hubert_kmeans, mfcc_kmeans"),
        ("mfcc_kmean", "x.safetensors", "did you mean 'mfcc_kmeans"),
        ("mfcc_kmeans", "x.bin", "a codebook is a .safetensors file, not 'x.bin'"),
    ],
)
def test_a_wrong_word_is_one_line(make_data: Callable[..., Path], tmp_path: Path, name: str, out: str, message: str) -> None:
    done = bench(name, "--data", make_data(2), "--out", tmp_path / out)
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1


def test_an_encoder_is_refused_where_there_is_none_to_give(make_data: Callable[..., Path], tmp_path: Path) -> None:
    done = bench("mfcc_kmeans@km50", "--data", make_data(2), "--out", tmp_path / "x.safetensors", "--weights", "y.safetensors")
    assert done.returncode == 2 and "mfcc_kmeans@km50 needs no file of an encoder: leave --weights out" in done.stderr


def test_without_scikit_learn_the_install_line_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make_data: Callable[..., Path]
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(UserError, match=r"pip install 'audio-tokenizer-bench\[kmeans\]'"):
        fit(KM50, open_data(str(make_data(2))), tmp_path / "km.safetensors")


def test_an_unpublished_codebook_says_how_to_come_by_it() -> None:
    with pytest.raises(UserError, match=r"mfcc_kmeans@km50 has no published codebook: fit one with `bench kmeans .*--weights FILE"):
        registry.load_tokenizer(KM50)


def test_units_cannot_be_decoded() -> None:
    units = registry.load_tokenizer("mfcc_kmeans@tiny")
    assert isinstance(units, Units)
    with pytest.raises(ValueError, match="tokens only"):
        units.decode(torch.zeros(1, 1, 5, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"wav must be \[B, 1, T\]"):
        units.encode(torch.zeros(1, 2, 5))


def test_two_files_are_named_by_both_hashes(tmp_path: Path) -> None:
    from bench.api import Checkpoint, Variant, sha256_of_all

    (tmp_path / "own").write_bytes(b"abc")
    encoder = Checkpoint("e", "e" * 64, "https://example.org/e")
    spec = Spec("x", "y", 16_000, KM50.spec.codebooks, sha256_of_all(Checkpoint("c", ""), encoder), decodes=False)
    assert spec.weights == f"sha256:?+{'e' * 64}" and spec.trained
    variant = registry.with_weights(Variant(spec, Units, Checkpoint("c", ""), beside=(encoder,)), tmp_path / "own")
    assert variant.spec.weights == f"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad+{'e' * 64}"
    assert [file.sha256[:2] for file in variant.files] == ["ba", "ee"]
