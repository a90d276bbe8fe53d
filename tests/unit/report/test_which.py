"""The table of which tokenizer is what has a line for each, and says of none what its spec does not."""

from bench import registry
from bench.report import published, which


def test_every_tokenizer_with_weights_or_without_need_of_them_has_one_line() -> None:
    header, lines = which.tokenizers()
    named = [line[0] for line in lines]
    trained = [name for name in registry.names() if registry.variant(name).spec.trained]
    assert sorted(named) == sorted(trained) and {len(line) for line in lines} == {len(header)}


def test_lines_say_what_specs_and_published_scores_say() -> None:
    lines = {line[0]: dict(zip(which.HEADER, line, strict=True)) for line in which.tokenizers()[1]}
    units = lines["vq_wav2vec@gumbel"]
    assert (units["frames/s"], units["tokens/s"], units["kbit/s"], units["vocabulary"]) == ("100", "200", "1.664", "320")
    assert (units["what codes stand for"], units["decodes"]) == ("semantic", "no")
    assert (units["weights"], units["licence"]) == ("user-supplied", "MIT")
    assert lines["mimi@24khz"]["causal"] == "yes" and lines["mimi@24khz"]["what codes stand for"] == which.FIRST
    assert lines["mimi@24khz-1cb"]["what codes stand for"] == "semantic"
    assert lines["identity@float32"]["what codes stand for"] == "reference condition"
    assert all(one.source in lines[one.tokenizer]["published"] for one in published.published() if one.tokenizer)


def test_kinds_that_are_typed_in_are_of_families_that_exist() -> None:
    assert which.KINDS.keys() <= registry.families().keys()
