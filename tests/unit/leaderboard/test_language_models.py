"""The table for language models: what has rows is shown, what has none is named."""

from dataclasses import replace
from pathlib import Path

from bench.compare.fronts import NO_INTERVAL
from bench.leaderboard import columns, front, language_models, plots, starts
from bench.leaderboard.aggregate import Board, boards
from bench.leaderboard.build import Places, write
from bench.records.reader import Kept
from tests.runs import FACTS, keep, made, speech

BITS = {**FACTS[6], "name": "lm_bits_per_s", "unit": "bit/s", "per": "clip", "span": [0.0, None]}
GAIN = {**FACTS[0], "name": "lm_gain", "unit": "share", "tolerance": 0.01}
TOKENS = {**FACTS[4], "name": "tokens_per_s", "unit": "1/s", "tolerance": 0.01}
PHONES = {**FACTS[0], "name": "phone_bits_per_s", "unit": "bit/s", "per": "corpus"}
CER = {**FACTS[1], "name": "probe_asr_cer", "unit": "share"}
LM = {"metrics": [BITS, GAIN], "headline": ["lm_bits_per_s", "lm_gain"], "overview": ["lm_bits_per_s"]}
CODES = {"metrics": [TOKENS, PHONES], "headline": ["tokens_per_s", "phone_bits_per_s"]}
PROBE = {"metrics": [CER], "headline": ["probe_asr_cer"]}
BOOKS = {"mimi@24khz": [[2048, 12.5]] * 8, "hubert_kmeans@base-l9-km500": [[500, 50.0]], "identity@float32": [[2**32, 16000.0]]}


def codes(label: str, tokens: float, phones: float) -> Kept:
    found = speech({"tokens_per_s": [tokens] * 6}, speakers=6)
    found["speech"] |= {"phone_bits_per_s": {"*": phones}}
    return made(label, found, suite="codes", codebooks=BOOKS[label], record=CODES)


def lm(label: str, bits: float) -> Kept:
    scores = speech({"lm_bits_per_s": [bits] * 6, "lm_gain": [0.25] * 6}, speakers=6)
    return made(label, scores, suite="lm", codebooks=BOOKS[label], record=LM)


def three(with_lm: bool = True) -> list[Board]:
    """Hubert is dearer by tokens and cheaper by bits; identity is a reference; no run of a probe."""
    runs = [codes("mimi@24khz", 100.0, 9.0), codes("hubert_kmeans@base-l9-km500", 500.0, 20.0), codes("identity@float32", 16000.0, 50.0)]
    if with_lm:
        runs += [lm("mimi@24khz", 900.0), lm("hubert_kmeans@base-l9-km500", 200.0), lm("identity@float32", 9e6)]
    return boards(runs)


def table(found: list[Board]) -> language_models.Table:
    return language_models.table(found, front.tokenizers(found))


def test_columns_with_rows_are_shown_and_the_others_are_named() -> None:
    found = table(three())
    assert [c.metric.name for c in found.columns] == ["tokens_per_s", "lm_bits_per_s", "lm_gain", "phone_bits_per_s"]
    assert found.groups == [("What is paid", 3), ("What is kept", 1)]
    told = "\n".join(found.missing)
    assert "no runs of the suite probe, so no probe_asr_cer: bench leaderboard --run probe makes them" in told
    assert "no score in the runs of codes: shared_bits, abx_within, abx_across" in told and "lm_bits_per_char" in told


def test_the_cheapest_by_bits_comes_first_and_by_tokens_where_nothing_has_bits() -> None:
    assert [line.tokenizer.label for line in table(three()).lines] == ["hubert_kmeans@base-l9-km500", "mimi@24khz"]
    without = table(three(with_lm=False))
    assert [line.tokenizer.label for line in without.lines] == ["mimi@24khz", "hubert_kmeans@base-l9-km500"]
    assert any("no runs of the suite lm" in line for line in without.missing)


def test_a_tokenizer_without_a_run_of_a_suite_is_named() -> None:
    runs = [codes("mimi@24khz", 100.0, 9.0), codes("hubert_kmeans@base-l9-km500", 500.0, 20.0), lm("mimi@24khz", 900.0)]
    found = table(boards(runs))
    assert "no run of lm: hubert_kmeans@base-l9-km500" in found.missing
    assert [line.cells[1].mean for line in found.lines] == ["900", ""]
    assert [line.cells[1].state for line in found.lines] == ["", "not run"]


def test_the_ranks_name_what_nothing_cheaper_is_as_good_as_and_why_it_is_not_tested() -> None:
    why = f"; {NO_INTERVAL}"
    assert table(three()).fronts == ("phone_bits_per_s: hubert_kmeans@base-l9-km500 (20.00 for 200 bit/s)" + why,)
    dear = [codes("mimi@24khz", 100.0, 30.0), codes("hubert_kmeans@base-l9-km500", 500.0, 20.0)]
    dear += [lm("mimi@24khz", 900.0), lm("hubert_kmeans@base-l9-km500", 200.0)]
    (line,) = table(boards(dear)).fronts
    assert line == "phone_bits_per_s: hubert_kmeans@base-l9-km500 (20.00 for 200 bit/s), mimi@24khz (30.00 for 900 bit/s)" + why
    assert table(three(with_lm=False)).fronts == ()


def probe(label: str, errors: list[float]) -> Kept:
    return made(label, speech({"probe_asr_cer": errors}, speakers=6), suite="probe", codebooks=BOOKS[label], record=PROBE)


def test_the_ranks_say_which_leads_and_which_beaten_tokenizers_are_told_apart() -> None:
    hubert, mimi = "hubert_kmeans@base-l9-km500", "mimi@24khz"
    prices = [lm(hubert, 200.0), lm(mimi, 900.0)]
    some = [0.295 + 0.01 * i for i in range(12)]
    for change, told in (
        ([-0.1] * 12, "(35 for 200 bit/s), mimi@24khz (25 for 900 bit/s, told apart)"),
        ([-0.11, 0.09] * 6, "(35 for 200 bit/s), mimi@24khz (34 for 900 bit/s, not told apart)"),
        ([0.1] * 12, "(35 for 200 bit/s); beaten, told apart: mimi@24khz (1 of 1)"),
        ([0.11, -0.09] * 6, "(35 for 200 bit/s); beaten, told apart: none of 1"),
    ):
        other = [a + b for a, b in zip(some, change, strict=True)]
        (line,) = table(boards([*prices, probe(hubert, some), probe(mimi, other)])).fronts
        assert line == f"probe_asr_cer: {hubert} {told}"


def test_what_a_run_of_lm_took_is_told_where_it_was_noted() -> None:
    runs = [codes("mimi@24khz", 100.0, 9.0), codes("hubert_kmeans@base-l9-km500", 500.0, 20.0)]
    runs += [lm("mimi@24khz", 900.0), lm("hubert_kmeans@base-l9-km500", 200.0)]
    runs[2] = replace(runs[2], record={**runs[2].record, "cpu_seconds": 90.0})
    hubert, mimi = table(boards(runs)).lines
    assert mimi.minutes.mean == "1.5" and hubert.minutes.state == "not run" and "in one go" in hubert.minutes.why
    assert [line.minutes.state for line in table(three(with_lm=False)).lines] == ["not run", "not run"]
    told = language_models.render(boards(runs), front.tokenizers(boards(runs)), (), "")
    assert ">1.5<" in told and language_models.ABOUT_MINUTES in told
    assert language_models.MINUTES not in language_models.render(three(), front.tokenizers(three()), (), "")


def test_positions_are_those_of_thirty_seconds_in_each_layout() -> None:
    hubert, mimi = table(three()).lines
    assert [cell.mean for cell in mimi.positions] == ["375", "382", "376", "3,000"]
    assert [cell.state for cell in hubert.positions] == ["n/a", "n/a", "n/a", ""] and hubert.positions[3].mean == "1,500"


def test_bits_are_a_price_on_the_x_axis_and_never_something_that_is_kept() -> None:
    found = three()
    metrics = {m["name"]: m for m in plots.numbers(found, front.tokenizers(found))["metrics"]}  # type: ignore[attr-defined]
    assert metrics["lm_bits_per_s"]["across"] and not metrics["lm_bits_per_s"]["up"]
    assert metrics["phone_bits_per_s"]["up"] and not metrics["phone_bits_per_s"]["across"] and not metrics["tokens_per_s"]["up"]


def test_a_starting_point_never_asks_for_a_fact_as_what_is_kept() -> None:
    found = three()
    shown = columns.over(found)
    for start in starts.usable(shown):
        y = columns.matching(start.y, shown)
        assert y is not None and y.metric.better


def test_the_leaderboards_have_the_page_and_the_table_in_their_readme(tmp_path: Path) -> None:
    for run in (run for board in three() for run in (entry.run for entry in board.entries)):
        rows = {"speech": {}}
        for row in run.rows:
            if row.metric in run.metrics:
                rows["speech"].setdefault(row.metric, {})[row.clip] = row.value
        record = {"metrics": run.record["metrics"], "headline": run.record["headline"]}
        keep(tmp_path / "results", run.label, rows, suite=run.suite, codebooks=BOOKS[run.label], record=record)
    places = Places(tmp_path / "results", tmp_path / "out", tmp_path / "README.md")
    list(write(places, audio=False))
    text = (tmp_path / "out" / "README.md").read_text()
    assert "## For language models" in text and "| hubert_kmeans@base-l9-km500 | 500.00 | 200 |" in text
    page = (tmp_path / "out" / language_models.PATH).read_text()
    assert 'data-x="lm/lm_bits_per_s" data-y="codes/phone_bits_per_s"' in page and "What is missing" in page
    assert "identity@float32" not in page
    assert "What the ranks say" in page and "Best for their price" in text
    (tmp_path / "out" / "published.html").read_text().index("X-codec2 (arxiv.org/abs/2502.04128), table 1")
    ours = (tmp_path / "out" / "tokenizers" / "mimi@24khz.html").read_text()
    assert "Published, not measured here" in ours and "2.25" in ours
    nav = (tmp_path / "out" / "index.html").read_text()
    assert 'href="language-models.html"' in nav and 'href="published.html"' in nav


def test_quality_is_in_the_table_over_suites_with_a_column_for_each_domain_it_has() -> None:
    facts = [{**FACTS[0], "name": name, "unit": "MOS-LQO", "span": [1.0, 5.0]} for name in ("visqol_speech", "visqol_audio")]
    record = {"metrics": facts, "headline": ["visqol_speech", "visqol_audio"], "overview": ["visqol_speech"]}
    scores = {**speech({"visqol_speech": [3.0] * 6}, speakers=6), "music": {"visqol_audio": {f"m{i}/{i}": 4.0 for i in range(6)}}}
    found = boards([made("mimi@24khz", scores, suite="quality", codebooks=BOOKS["mimi@24khz"], record=record), lm("mimi@24khz", 900.0)])
    assert [c.id for c in columns.over(found, "music")] == ["quality/visqol_audio"]
    assert [c.id for c in columns.over(found, "speech")] == ["quality/visqol_speech", "lm/lm_bits_per_s"]
    assert [c.head for c in columns.over(found)] == ["ViSQOL", "ViSQOL audio", "model bits"]
    assert {table.domain for table in front.tables(found)} == {"speech", "music"}
