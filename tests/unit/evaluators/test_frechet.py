"""Fréchet distances: what is known exactly of normal distributions, fadtk's definition, and the embeddings that they are taken of."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import linalg

from bench.api import UserError
from bench.evaluators import embeddings, frechet, quality
from bench.nn.seanet_lstm import SEANetLSTM
from tests.conftest import speech_like


def drawn(n: int, mean: float, scale: float, seed: int, width: int = 4) -> np.ndarray:
    return mean + scale * np.random.default_rng(seed).standard_normal((n, width))


def test_it_is_that_of_two_normal_distributions() -> None:
    ref, est = drawn(200_000, 0, 1, 0), drawn(200_000, 0.5, 2, 1)
    assert frechet.distance(ref, est) == pytest.approx(4 * (0.5**2 + (2 - 1) ** 2), rel=0.02)
    assert frechet.distance(ref, ref) == pytest.approx(0, abs=1e-9)


def test_it_is_what_the_square_root_of_the_product_gives_also_where_that_is_singular() -> None:
    mix = np.random.default_rng(2).standard_normal((4, 4))
    ref, est = drawn(400, 0, 1, 0) @ mix, drawn(300, 0.2, 1.5, 1) @ mix.T
    c1, c2 = np.cov(ref, rowvar=False), np.cov(est, rowvar=False)
    root = linalg.sqrtm(c1 @ c2)
    expected = np.square(ref.mean(0) - est.mean(0)).sum() + np.trace(c1 + c2 - 2 * np.real(root))
    assert frechet.distance(ref, est) == pytest.approx(expected, rel=1e-9)
    flat = np.pad(ref, ((0, 0), (0, 2)))  # two dimensions that never move
    assert frechet.distance(flat, np.pad(est, ((0, 0), (0, 2)))) == pytest.approx(expected, rel=1e-6)


def test_infinitely_many_are_nearer_than_few_and_the_seed_decides() -> None:
    ref, est = drawn(20_000, 0, 1, 0, 16), drawn(20_000, 0, 1, 1, 16)
    assert abs(frechet.infinite(ref, est)) < 0.2 * frechet.distance(ref, est[:500])
    assert frechet.infinite(ref, est) == frechet.infinite(ref, est) != frechet.infinite(ref, est, seed=1)


def test_too_few_embeddings_have_no_score_and_a_reason() -> None:
    few = drawn(1, 0, 1, 0)
    assert all(math.isnan(score.value) and score.note for score in frechet.scores(few, few))
    some = drawn(100, 0, 1, 0)
    whole, limit = frechet.scores(some, some)
    assert whole.value == pytest.approx(0, abs=1e-9) and math.isnan(limit.value) and limit.note == "100 embeddings: FAD-inf needs 525"


def test_distill_mos_gives_50_embeddings_a_second_and_none_of_what_lies_beyond_the_clip() -> None:
    try:
        embed = quality.embedding(quality.FAD_DISTILL_MOS, "cpu")
    except UserError as error:
        pytest.skip(str(error))
    wav = speech_like(1.0, 16_000)
    assert embed(wav).shape == (50, 200) and embed(wav[:-1]).shape == (50, 200)
    assert not torch.allclose(embed(wav), embed(0.1 * torch.randn(16_000, generator=torch.Generator().manual_seed(0))), atol=0.1)


def test_encodec_is_read_from_a_whole_codecs_file_and_heard_before_its_quantizer(tmp_path: Path) -> None:
    shape = SEANetLSTM(filters=4, dimension=8)
    torch.manual_seed(0)
    encoder, decoder = shape.encoder(), shape.decoder()
    state = {f"encoder.{name}": value for name, value in encoder.state_dict().items()}
    torch.save(state | {f"decoder.{name}": value for name, value in decoder.state_dict().items()}, tmp_path / "codec.th")
    embed, wav = embeddings.load_encodec_file(tmp_path / "codec.th", "cpu", shape), speech_like(0.2, 24_000)
    with torch.inference_mode():
        assert torch.equal(embed(wav), encoder(wav[None, None])[0].mT) and embed(wav).shape == (15, 8)
    torch.save(state, tmp_path / "whole.th")
    with pytest.raises(UserError, match="whole.th does not fit this configuration"):
        embeddings.load_encodec_file(tmp_path / "whole.th", "cpu")
