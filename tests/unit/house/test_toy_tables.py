"""The worked example of docs/language-models.md: its figures are computed, and are the published ones where those are known."""

import importlib.util

import pytest

from tests.conftest import ROOT
from tests.toy_sources import source


def generated(kind: str) -> list[list[str]]:
    """The rows of a table of the page, as docs/generate.py makes it."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in module.toys(kind).splitlines()[2:]]


def test_the_first_source_costs_what_was_computed_for_it_elsewhere() -> None:
    exact = source(1, 8).entropies()
    assert [exact[name] for name in ("depth", "delayed", "parallel")] == pytest.approx([2.4924, 2.4924, 2.9951], abs=5e-5)
    assert generated("bits")[0][1:] == ["6", "4.63", "2.49", "2.49 (+0 %)", "3.00 (+20 %)"]


def test_what_the_page_says_of_layouts_holds_in_its_table() -> None:
    first, second, third = ([float(cell.split()[0]) for cell in row[1:]] for row in generated("bits"))
    for _, alone, depth, delayed, parallel in (first, second, third):
        assert depth <= delayed < alone and depth < parallel < alone
    assert first[3] == first[2] and second[3] > 1.1 * second[2] and second[3] > 0.9 * second[4]


def test_gains_follow_from_the_bits() -> None:
    for bits, gain in zip(generated("bits"), generated("gain"), strict=True):
        size, alone, depth = map(float, bits[1:4])
        assert [float(cell) for cell in gain[1:]] == pytest.approx([1 - depth / size, 1 - depth / alone], abs=0.01)
