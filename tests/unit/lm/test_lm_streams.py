"""Codes as a model reads them: their order, their numbers, what each costs by itself, and windows that count every code once."""

import math

import numpy as np
import pytest
import torch

from bench import registry
from bench.api import Codebook, Spec
from bench.lm import windows
from bench.lm.layouts import first_stage, layout, order
from bench.lm.streams import Alphabet, Stream, Vocabulary, ZeroOrder, alphabet, unmodelled
from bench.lm.windows import Window, batches, counts, learned, numbers


def test_codes_of_several_rates_are_ordered_by_time_then_level() -> None:
    spec = registry.variant("snac@24khz").spec  # 1 column, then 2 of the second level, then 4 of the third
    assert order(spec) == [0, 1, 3, 4, 2, 5, 6]
    assert alphabet(spec).tables == (0, 1, 2, 2, 1, 2, 2) and alphabet(spec).sizes == (4096,) * 3


def test_semantic_codebooks_come_first_and_are_the_first_stage() -> None:
    spec = Spec("x", "v", 16_000, (Codebook(8, 50.0, "acoustic"), Codebook(16, 50.0, "semantic"), Codebook(8, 50.0, "acoustic")))
    assert order(spec) == [1, 0, 2] and first_stage(spec) == 1
    codes = np.arange(6).reshape(3, 2)
    assert alphabet(spec).stream(codes, 0.04).codes.tolist() == [[2, 0, 4], [3, 1, 5]]


def test_codes_without_roles_keep_their_order() -> None:
    assert order(registry.variant("encodec@24khz-6kbps").spec) == list(range(8))


def test_samples_and_bytes_are_not_modelled() -> None:
    assert "samples" in unmodelled(registry.variant("identity").spec, 16_000.0)
    assert "variable-rate bytes" in unmodelled(registry.variant("opus@6kbps").spec, 300.0)
    assert "750 frames per second" in unmodelled(Spec("x", "v", 16_000, (Codebook(256, 750.0),)), 750.0)
    assert not unmodelled(Spec("x", "v", 16_000, (Codebook(100, math.nan), Codebook(8, math.nan))), 30.0)
    assert not unmodelled(registry.variant("encodec@24khz-6kbps").spec, 75.0)


def test_the_zero_order_model_is_a_distribution_and_learns_how_far_to_smooth() -> None:
    rng = np.random.default_rng(0)
    even, uneven = ZeroOrder(rng.integers(64, size=500), 64), ZeroOrder(np.repeat([1, 2], [400, 100]), 64)
    for table in (even, uneven):
        assert np.exp(table.log_p(np.arange(64))).sum() == pytest.approx(1)
    assert -even.log_p(np.arange(64)).mean() / math.log(2) < 6.01  # 6 bits: as if it knew that they are uniform
    assert -uneven.log_p(np.array([1, 1, 1, 1, 2])).mean() / math.log(2) == pytest.approx(0.722, abs=0.01)


def test_codes_that_were_never_seen_have_no_number_but_a_price() -> None:
    vocabulary = Vocabulary(Alphabet((8, 8), (0, 1), (0, 1)), [Stream(np.array([[3, 5], [3, 6]]), 1.0)])
    found = vocabulary.numbers(Stream(np.array([[3, 6], [4, 5]]), 1.0))
    assert found.tolist() == [[1, 3], [0, 2]]
    assert np.isfinite(vocabulary.log_p(Stream(np.array([[7, 7]]), 1.0))).all()


def test_columns_of_one_table_share_its_numbers() -> None:
    vocabulary = Vocabulary(Alphabet((8,), (0, 0), (0, 1)), [Stream(np.array([[3, 5]]), 1.0)])
    assert vocabulary.numbers(Stream(np.array([[5, 3]]), 1.0)).tolist() == [[2, 1]]


@pytest.mark.parametrize(("frames", "length"), [(1, 8), (8, 8), (9, 8), (100, 8), (37, 5), (7, 1)])
def test_every_frame_of_a_test_is_counted_once_and_sees_half_a_window(frames: int, length: int) -> None:
    found = list(windows.tested("a", frames, length))
    assert [t for w in found for t in range(w.counted, w.stop)] == list(range(frames))
    assert all(w.frames <= length and (w.start == 0 or w.counted - w.start >= length // 2) for w in found)


def test_every_frame_is_learned_once_in_a_pass() -> None:
    found = learned({"a": 20, "b": 3}, 8, np.random.default_rng(0))
    assert sorted((w.clip, t) for w in found for t in range(w.start, w.stop)) == [("a", t) for t in range(20)] + [
        ("b", t) for t in range(3)
    ]
    assert all(w.frames <= 8 for w in found)


def test_a_batch_holds_so_many_frames_filled_up() -> None:
    rng = np.random.default_rng(0)
    asked = [Window(str(i), 0, int(n), 0) for i, n in enumerate(rng.integers(1, 30, 50))]
    found = batches(asked, 60, rng)
    assert sorted(w.clip for batch in found for w in batch) == sorted(w.clip for w in asked)
    assert all(len(batch) * max(w.frames for w in batch) <= 60 for batch in found)
    assert len(batches([Window("a", 0, 100, 0)], 60)) == 1


def test_a_window_begins_with_the_frame_before_it() -> None:
    batch = [Window("a", 0, 3, 0), Window("a", 2, 4, 3)]
    given = numbers(batch, {"a": np.array([[1], [2], [3], [4]])})
    assert given[..., 0].tolist() == [[0, 1, 2, 3], [2, 3, 4, 0]]
    assert torch.equal(counts(batch), torch.tensor([[True, True, True], [False, True, False]]))


def test_layouts_take_so_many_positions() -> None:
    found = {name: layout(name, 4).positions(10) for name in ("depth", "flattened", "delayed", "parallel", "one_late", "stages")}
    assert found == {"depth": 10, "flattened": 40, "delayed": 13, "parallel": 10, "one_late": 11, "stages": 20}
    with pytest.raises(ValueError, match="no layout is called"):
        layout("sideways", 4)
