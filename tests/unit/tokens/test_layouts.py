"""Layouts of codes for a language model: positions and vocabularies, by hand."""

import pytest

from bench import registry
from bench.api import Codebook, Spec
from bench.tokens.layouts import Layout, layouts


def of(name: str) -> dict[str, Layout]:
    return {layout.name: layout for layout in layouts(registry.variant(name).spec)}


def test_mimi_by_hand() -> None:
    found = of("mimi@24khz")  # 12.5 Hz, 8 x 2048
    assert {name: layout.positions(30) for name, layout in found.items()} == {
        "flattened": 3000,
        "delayed": 382,
        "one_late": 376,
        "parallel": 375,
    }
    assert found["flattened"].vocabularies == (16_384,)
    assert found["flattened"].offsets == (0, 2048, 4096, 6144, 8192, 10_240, 12_288, 14_336)
    assert found["delayed"].vocabularies == (2049,) * 8 and found["parallel"].vocabularies == (2048,) * 8
    assert [layout.seconds(4096) for layout in found.values()] == pytest.approx([40.96, (4096 - 7) / 12.5, 4095 / 12.5, 327.68])


def test_dac_by_hand() -> None:
    found = of("dac@44khz")  # 44100 / 512 Hz, 9 x 1024: 30 s are 2583.98 frames
    assert {name: layout.positions(30) for name, layout in found.items()} == {
        "flattened": 23_256,
        "delayed": 2592,
        "one_late": 2585,
        "parallel": 2584,
    }
    assert found["flattened"].vocabularies == (9216,) and found["flattened"].offsets[-1] == 8192
    assert found["delayed"].vocabularies == (1025,) * 9
    assert found["flattened"].seconds(131_072) == pytest.approx(131_072 / (9 * 44_100 / 512))


def test_slow_codebooks_take_fewer_positions_when_flattened() -> None:
    spec = Spec("s", "v", 24_000, (Codebook(100, 10.0), Codebook(200, 20.0)))
    flattened, delayed, _, parallel = layouts(spec)
    assert (flattened.positions(2.02), delayed.positions(2.02), parallel.positions(2.02)) == (21 + 41, 42, 41)
    assert flattened.offsets == (0, 100) and flattened.vocabularies == (300,)


def test_one_codebook_has_one_layout_and_a_varying_rate_none() -> None:
    assert list(of("mulaw")) == ["flattened"] and of("mulaw")["flattened"].offsets == (0,)
    assert not of("opus") and not of("identity")


def test_a_context_shorter_than_the_delay_holds_nothing() -> None:
    assert of("mimi@24khz")["delayed"].seconds(3) == 0.0
