"""Codes of several rates and product codes: what they cost, and whose entries they are."""

import math

import numpy as np
import pytest
import torch

from bench import registry
from bench.api import Codebook, Spec
from bench.tokens.codes import packed_bits, streams


def spec(*books: Codebook) -> Spec:
    return Spec("s", "v", 16_000, books)


def test_a_table_of_several_streams_is_read_in_the_order_of_time() -> None:
    slow, fast = Codebook(100, 10.0, table="slow"), Codebook(100, 10.0, table="fast")
    both = spec(slow, fast, fast)
    assert both.tables == ((0,), (1, 2)) and both.tokens_per_s == 30
    found = streams(np.array([[1, 2], [10, 30], [20, 40]]), both)
    assert [codes.tolist() for codes in found] == [[1, 2], [10, 20, 30, 40]]


def test_streams_without_a_named_table_have_their_own() -> None:
    assert spec(Codebook(8, 1.0), Codebook(8, 1.0)).tables == ((0,), (1,))


def test_snac_is_packed_at_its_nominal_bitrate() -> None:
    found = registry.variant("snac@24khz").spec
    assert [len(table) for table in found.tables] == [1, 2, 4]
    assert packed_bits(torch.zeros(7, 100, dtype=torch.int64), found) == 8 * math.ceil(100 * 7 * 12 / 8)
    assert found.bitrate == pytest.approx(7 * 12 * 24_000 / 2048)


@pytest.mark.parametrize("levels", [(3,) * 8, (9, 8, 8, 7), (8, 7, 6, 6), (21,)])
def test_a_product_code_is_packed_within_a_hundredth_of_its_nominal_bits(levels: tuple[int, ...]) -> None:
    size = math.prod(levels)
    product, plain = spec(Codebook(size, 25.0, levels=levels)), spec(Codebook(size, 25.0))
    codes = torch.zeros(1, 500, dtype=torch.int64)
    assert packed_bits(codes, product) == pytest.approx(500 * math.log2(size), rel=0.01)
    assert packed_bits(codes, plain) == 8 * math.ceil(500 * math.ceil(math.log2(size)) / 8)


def test_bits_of_whole_and_product_codes_add_up() -> None:
    mixed = spec(Codebook(1024, 50.0), Codebook(21, 50.0, levels=(21,)))
    assert packed_bits(torch.zeros(2, 80, dtype=torch.int64), mixed) == 8 * math.ceil((80 * 10 + math.ceil(80 * math.log2(21))) / 8)
