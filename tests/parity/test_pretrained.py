"""The published weights give the published codes and scores: `pytest -m pretrained -s`, for whoever has a network.

Code sums are those that transformers' integration tests state of the first and the last clip of the 73 in
hf-internal-testing/librispeech_asr_dummy (clean, validation); where a clip is resampled they hold within 0.3 %, since another resampler
moves a code here and there. Scores are those that public benchmarks or, as its README, Qwen state of LibriSpeech test-clean: name its
folder (2,620 FLAC files) in LIBRISPEECH_TEST_CLEAN. An hour or more a codec on a CPU, and on a GPU where there is one.

Files that cannot be fetched, since no digest of theirs is published, are looked for in the folder that PRETRAINED_WEIGHTS names, under the
name that the error message says, as speechtokenizer_hubert_avg.pt. What is missing is skipped.
"""

from __future__ import annotations

import io
import os
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import soundfile
import torch
from torch import Tensor

from bench import registry
from bench.api import UserError, Variant
from bench.data.audio import resample
from bench.data.manifests import open_data
from bench.engine.run import Options, run

pytestmark = pytest.mark.pretrained

CLIPS = "https://huggingface.co/datasets/hf-internal-testing/librispeech_asr_dummy/resolve/main/clean/validation-00000-of-00001.parquet"
FIRST, LAST = 0, -1
SUMS = [  # tokenizer, clip, published sum of its codes
    ("encodec@24khz-1.5kbps", LAST, 371_955),
    ("encodec@24khz-24kbps", LAST, 6_659_962),
    ("mimi@24khz", LAST, 426_176),
    ("mimi@24khz-32cb", LAST, 1_795_819),
]
MEANS = [("dac@16khz", FIRST, 504.0948), ("dac@44khz", FIRST, 509.6812)]  # likewise the published mean of the codes
SCORES = [  # tokenizer, PESQ-wb, STOI
    ("encodec@24khz-6kbps", 2.77, 0.94),
    ("encodec@24khz-1.5kbps", 1.56, 0.85),
    ("dac@16khz", 4.01, 0.95),
    ("dac@16khz-2cb", 1.13, 0.73),
    ("mimi@24khz", 2.235, 0.905),
    ("mimi@24khz-4cb", 1.64, 0.85),
    ("mimi@24khz-16cb", 2.88, 0.94),
    ("qwen3_tts@12hz", 3.21, 0.96),
    ("speechtokenizer@16khz", 2.60, 0.92),
    ("speechtokenizer@16khz-2cb", 1.25, 0.77),
    ("speechtokenizer@16khz-1cb", 1.14, 0.64),
    ("xcodec@hubert-2cb", 2.33, 0.86),
    ("xcodec@hubert-1cb", 1.84, 0.83),
    ("bigcodec@16khz", 2.68, 0.93),
    ("xcodec2@16khz", 2.43, 0.92),
]


@pytest.fixture(scope="module")
def clips() -> list[tuple[Tensor, int]]:
    """(wav [T], sample rate) of all clips."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="reading the published clips takes pyarrow: pip install pyarrow")
    try:
        with urllib.request.urlopen(CLIPS, timeout=60) as answer:
            table = parquet.read_table(io.BytesIO(answer.read()))
    except (urllib.error.URLError, TimeoutError) as error:
        pytest.skip(f"the published clips cannot be fetched: {error}")
    return [read(item["bytes"]) for item in table["audio"].to_pylist()]


def read(data: bytes) -> tuple[Tensor, int]:
    samples, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    return torch.from_numpy(samples), rate


def with_published_weights(label: str) -> Variant:
    """The variant, with the file of the folder of PRETRAINED_WEIGHTS where it cannot be fetched."""
    variant, folder = registry.variant(label), os.environ.get("PRETRAINED_WEIGHTS")
    file = variant.checkpoint
    if file is None or file.sha256 or folder is None or not (Path(folder) / file.file).is_file():
        return variant
    return registry.with_weights(variant, Path(folder) / file.file)


def encoded(label: str, clip: tuple[Tensor, int]) -> Tensor:
    """Codes [K, F] of a clip through the published weights."""
    variant = with_published_weights(label)
    try:
        tokenizer = registry.load_tokenizer(variant)
    except UserError as error:
        pytest.skip(f"{label}: {error}")
    assert variant.spec.sample_rate is not None
    return tokenizer.encode(resample(clip[0], clip[1], variant.spec.sample_rate)[None, None])[0]


@pytest.mark.parametrize(("label", "clip", "published"), SUMS)
def test_sums_of_codes(label: str, clip: int, published: int, clips: list[tuple[Tensor, int]]) -> None:
    total = int(encoded(label, clips[clip]).sum())
    print(f"{label}: sum of codes {total}, published {published}")
    assert total == pytest.approx(published, rel=3e-3)


@pytest.mark.parametrize(("label", "clip", "published"), MEANS)
def test_means_of_codes(label: str, clip: int, published: float, clips: list[tuple[Tensor, int]]) -> None:
    mean = float(encoded(label, clips[clip]).double().mean())
    print(f"{label}: mean of codes {mean:.4f}, published {published}")
    assert mean == pytest.approx(published, rel=1e-3 if label == "dac@16khz" else 3e-3)


def test_first_codes_of_dac_24khz(clips: list[tuple[Tensor, int]]) -> None:
    assert encoded("dac@24khz", clips[FIRST])[0, :5].tolist() == [919, 919, 234, 777, 234]


def test_first_codes_of_wavtokenizer() -> None:
    """Of half a second of a tone, as a port for transformers states them, compared by its authors with the original code."""
    tone = 0.5 * torch.sin(2 * torch.pi * 440 * torch.arange(12_000) / 24_000)
    codes = encoded("wavtokenizer@large-unify-40tps", (tone, 24_000))
    assert codes[0, :10].tolist() == [1323, 1442, 3524, 2056, 3229, 1723, 2785, 1389, 3144, 1723]


@pytest.mark.parametrize(("label", "pesq", "stoi"), SCORES)
def test_scores_on_test_clean(label: str, pesq: float, stoi: float, tmp_path: Path) -> None:
    folder = os.environ.get("LIBRISPEECH_TEST_CLEAN")
    if not folder:
        pytest.skip("name the folder of LibriSpeech test-clean in LIBRISPEECH_TEST_CLEAN")
    suite, data = registry.load_suite("reconstruction"), open_data(folder)
    options = Options(results=tmp_path, device="cuda" if torch.cuda.is_available() else "cpu")
    try:
        (done,) = run([with_published_weights(label)], suite, data, options)
    except UserError as error:
        pytest.skip(f"{label}: {error}")
    means = {summary.metric: summary.mean for summary in done.summaries}
    print(f"{label}: {len(data.clips)} clips, PESQ-wb {means['pesq_wb']:.3f} ({pesq}), STOI {means['stoi']:.3f} ({stoi})")
    assert means["pesq_wb"] == pytest.approx(pesq, abs=0.05)
    assert means["stoi"] == pytest.approx(stoi, abs=0.01)
