"""Codes as tokens of a layout: by hand where they are few, and back without loss."""

import math

import numpy as np
import pytest

from bench.api import Codebook, Spec, UserError
from bench.tokenized import streams
from bench.tokenized.vocabulary import GRIDS, LAYOUTS, vocabulary
from bench.tokens import bpe
from bench.tokens.layouts import layouts

UNITS = Spec("units", "v", 16_000, (Codebook(50, 50.0, role="semantic"),))
CODEC = Spec("codec", "v", 16_000, (Codebook(8, 75.0), Codebook(16, 75.0)))
SLOW = Spec("slow", "v", 16_000, (Codebook(8, 12.5), Codebook(16, 12.5), Codebook(9, 12.5, role="semantic")))
SNAC = Spec("snac", "v", 24_000, tuple(Codebook(16, 12.5, table=table) for table in "abbcccc"))
GLOBAL = Spec("global", "v", 16_000, (Codebook(8, 50.0),), side=(Codebook(4, 0), Codebook(6, 0)))


def codes_of(spec: Spec, seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, book.size, math.ceil(seconds * spec.frame_rate)) for book in spec.codebooks])


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "bpe"])
@pytest.mark.parametrize("specs", [(CODEC,), (SLOW,), (SNAC,), (UNITS, CODEC), (SLOW, UNITS), (UNITS, SNAC)], ids=str)
def test_codes_come_back_from_every_layout(layout: str, specs: tuple[Spec, ...]) -> None:
    if layout == "stages" and specs == (SNAC,):
        specs = (UNITS, SNAC)
    how = vocabulary(layout, specs)
    for seconds in (0.0, 0.013, 0.41, 1.03):
        codes = [codes_of(spec, seconds, i) for i, spec in enumerate(specs)]
        found = streams.tokens(codes, how)
        assert found.dtype == np.int32 and (found.shape[1:] == ((how.width,) if layout in GRIDS else ()))
        for given, back in zip(codes, streams.codes(found, how), strict=True):
            assert given.shape == back.shape and (given == back).all()


def test_lines_by_hand() -> None:
    codes = np.array([[1, 2], [3, 4], [5, 6]])  # semantic: the third
    assert streams.tokens([codes], vocabulary("flattened", [SLOW])).tolist() == [29, 1, 11, 30, 2, 12]
    assert streams.tokens([codes], vocabulary("stages", [SLOW])).tolist() == [29, 30, 36, 1, 11, 2, 12]  # codes end with 32, then bos ...
    units, codec = np.array([[7, 8]]), np.array([[0, 1, 2], [0, 0, 0]])  # at 0, 20 ms; at 0, 13.3, 26.7 ms
    assert streams.tokens([units, codec], vocabulary("flattened", [UNITS, CODEC])).tolist() == [7, 50, 58, 51, 58, 8, 52, 58]
    assert streams.tokens([units, codec], vocabulary("stages", [UNITS, CODEC])).tolist() == [7, 8, 77, 50, 58, 51, 58, 52, 58]


def test_grids_by_hand() -> None:
    codes = np.array([[1, 2], [3, 4]])
    assert streams.tokens([codes], vocabulary("parallel", [CODEC])).tolist() == [[1, 3], [2, 4]]
    assert streams.tokens([codes], vocabulary("delayed", [CODEC])).tolist() == [[1, 16], [2, 3], [8, 4]]
    units, slow = np.array([[10, 11, 12, 13, 14]]), np.array([[1, 2], [3, 4], [5, 6]])  # four units last as long as a slow frame
    both = streams.tokens([units, slow], vocabulary("depth", [UNITS, SLOW]))
    assert both.tolist() == [[10, 11, 12, 13, 5, 1, 3], [14, 50, 50, 50, 6, 2, 4]]
    late = streams.tokens([units, slow], vocabulary("one_late", [UNITS, SLOW]))
    assert late.tolist() == [[10, 50, 50, 50, 9, 8, 16], [14, 11, 12, 13, 5, 1, 3], [50, 50, 50, 50, 6, 2, 4]]


def test_vocabularies_are_those_that_show_states_and_special_tokens_are_no_codes() -> None:
    for spec in (CODEC, SNAC, GLOBAL):
        how, stated = vocabulary("flattened", [spec]), layouts(spec)[0]
        assert how.size == stated.vocabularies[0]
        own = {column.codebook: column.offset for column in how.columns}
        assert (*(own[k] for k in range(len(own))), *(column.offset for column in how.side)) == stated.offsets
        assert sorted(how.special(how.size).values()) == list(range(how.size, how.size + 4))
    two = vocabulary("flattened", [GLOBAL, CODEC])
    assert [column.offset for column in two.side] == [8, 12] and [column.offset for column in two.columns] == [0, 18, 26]


def test_side_codes_come_back() -> None:
    for how, offset in ((vocabulary("flattened", [CODEC, GLOBAL]), 24), (vocabulary("depth", [CODEC, GLOBAL]), 0)):
        side = np.array([[1, 3], [5, 0]])  # two pieces
        found = streams.side_tokens(side, 1, how)
        assert found.tolist() == ([33, 41, 35, 36] if offset else [1, 5, 3, 0])
        assert (streams.side_codes(found, 1, how) == side).all()
        with pytest.raises(UserError, match="no multiple of the 2"):
            streams.side_codes(found[:3], 1, how)
        with pytest.raises(UserError, match="outside of its codebook"):
            streams.side_codes(found + 9, 1, how)


def test_byte_pairs_come_back() -> None:
    rng = np.random.default_rng(1)
    codes = np.repeat(rng.integers(0, 8, (2, 40)), 3, axis=1)
    how = vocabulary("bpe", [CODEC])
    learnt = bpe.learn([bpe.letters(codes, CODEC)], bpe.vocabulary(CODEC), 30)
    found = streams.tokens([codes], how, learnt)
    assert len(found) < codes.size and (streams.codes(found, how, learnt)[0] == codes).all()
    for wrong, why in (([1000], "outside"), ([0], "no whole frames"), ([8, 0], "not in the order")):
        with pytest.raises(UserError, match=why):
            streams.codes(np.array(wrong, dtype=np.int32), how, learnt)


def test_what_is_no_stream_is_said() -> None:
    flat, grid = vocabulary("flattened", [CODEC]), vocabulary("delayed", [CODEC])
    for found, how, why in (
        ([0], flat, "a frame is incomplete"),
        ([24, 0, 8], flat, "no code of any codebook"),
        ([[0, 16], [9, 0], [8, 0]], grid, "outside of its codebook"),
        ([[0, 16], [0, 0], [8, 16]], grid, "a frame is incomplete"),
        ([[0], [1]], grid, "no grid of 2 columns"),
    ):
        with pytest.raises(UserError, match=why):
            streams.codes(np.array(found, dtype=np.int32), how)


def test_what_cannot_share_a_stream_is_refused() -> None:
    odd = Spec("odd", "v", 44_100, (Codebook(4, 44_100 / 512),))
    raw = Spec("raw", "v", 16_000, (Codebook(2**24, 16_000.0),))
    vague = Spec("vague", "v", 16_000, (Codebook(4, math.nan),))
    for layout, specs, why in (
        ("depth", (UNITS, odd), "use flattened or stages"),
        ("flattened", (raw,), "reference condition"),
        ("flattened", (UNITS, vague), "frames vary"),
        ("stages", (UNITS,), "one stage alone"),
        ("bpe", (UNITS, CODEC), "of one tokenizer"),
        ("flattened", (UNITS, UNITS), "named twice"),
        ("flat", (UNITS,), "no layout is called 'flat'"),
        ("flattened", (UNITS, CODEC, SLOW), "3 tokenizers"),
    ):
        with pytest.raises(UserError, match=why):
            vocabulary(layout, specs)
    assert vocabulary("flattened", [UNITS, odd]).width == 1
