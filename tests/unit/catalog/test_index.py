"""The index of names says what the files of the tokenizers and suites say, and a file that it does not know is imported."""

from dataclasses import replace

import pytest

from bench import registry
from bench.catalog import index


def test_the_index_is_what_the_files_say() -> None:
    assert index.FILE.read_text(encoding="utf-8") == index.made(), "make it again: python -m bench.catalog.index"


@pytest.mark.parametrize("family", index.stems("tokenizers"))
def test_facts_of_a_family_are_those_of_its_file(family: str) -> None:
    known, real = index.family(family).variants, registry.families()[family]
    assert list(known) == list(real)
    for name, variant in known.items():
        assert repr(variant.spec) == repr(real[name].spec)  # repr: a rate that varies is NaN
        assert [replace(file, cure="") for file in variant.files] == [replace(file, cure="") for file in real[name].files]


@pytest.mark.parametrize("suite", index.stems("tasks"))
def test_facts_of_a_suite_are_those_of_its_file(suite: str) -> None:
    known, real = index.suite(suite), registry.load_suite(suite)
    assert (known.version, known.data, known.headline, known.needs_decode) == (real.version, real.data, real.headline, real.needs_decode)
    assert known.timed == bool(real.sweep) and known.evaluators == real.judges
    assert known.metrics == tuple(replace(metric, score=None) for metric in real.metrics)


def test_a_variant_of_the_index_loads_the_tokenizer() -> None:
    variant = index.family("mulaw").variants["8bit"]
    assert variant.load(variant.spec).spec == variant.spec


def test_a_file_that_the_index_does_not_know_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(index._index()["tokenizers"], "mulaw", index._index()["tokenizers"]["mulaw"] | {"sha256": "0", "variants": {}})
    index.family.cache_clear()
    assert "8bit" in index.family("mulaw").variants and not index.current("tokenizers", "mulaw")
    index.family.cache_clear()
