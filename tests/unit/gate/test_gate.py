"""bench gate: the baseline is one readable file, the verdict is right in its direction, and an alarm is rarely false."""

import copy
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from bench.api import UserError
from bench.cli import main
from bench.gate import baseline
from bench.gate.regressions import Finding, judge
from bench.records.reader import Kept, read
from tests.runs import Scores, keep, made, speech

Shift = Callable[[dict], None]


def good(seed: int = 0) -> dict[str, dict[str, dict[str, float | tuple[float, float]]]]:
    """Scores of a codec: 24 clips of 8 speakers."""
    rng = np.random.default_rng(seed)
    found: dict = speech(
        {
            "quality": rng.normal(3, 0.5, 24).tolist(),
            "distance": rng.uniform(0.5, 1, 24).tolist(),
            "gain_db": rng.normal(0, 0.3, 24).tolist(),
        },
        speakers=8,
    )
    found["speech"]["wer"] = {clip: (float(rng.integers(0, 4)) / 12, 12.0) for clip in found["speech"]["quality"]}
    found["speech"]["entropy"] = {"*": 1.0}
    found["speech"]["trials"] = {"*": 300.0}
    return found


def moved(metric: str, by: float, noise: float = 0.0) -> dict:
    """The same codec after a change of one metric on every clip."""
    found = copy.deepcopy(good())
    rng = np.random.default_rng(1)
    for clip, value in found["speech"][metric].items():
        change = by + noise * float(rng.normal())
        found["speech"][metric][clip] = (value[0] + change, value[1]) if isinstance(value, tuple) else value + change
    return found


def gate(before: Mapping[str, Scores], now: Mapping[str, Scores], strict: bool = False) -> dict[str, Finding]:
    return {f.metric.name: f for f in judge([(made("codec@1", before), made("codec@1", now))], strict)}


def bench(*words: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_baseline_holds_all_that_is_compared_and_gives_it_back(tmp_path: Path) -> None:
    scores = good()
    scores["speech"]["quality"]["s1/1"] = math.nan
    run = read(keep(tmp_path, "codec@1", scores, record={"packages": {"torch": "2"}, "started": "now"}))
    baseline.write(tmp_path / "b.jsonl", [run])
    (again,) = baseline.read(tmp_path / "b.jsonl")
    assert (again.label, again.suite, again.fingerprint, again.metrics) == (run.label, run.suite, run.fingerprint, run.metrics)
    for place, rows in run.scores.items():
        for clip, row in rows.items():
            other = again.scores[place][clip]
            assert (other.speaker, other.weight) == (row.speaker, pytest.approx(row.weight))
            assert other.value == pytest.approx(row.value, rel=1e-8, nan_ok=True)


def test_a_baseline_is_lines_of_sorted_json_and_the_same_for_the_same_runs(tmp_path: Path) -> None:
    runs = [
        read(keep(tmp_path / when, label, good(seed), record={"started": when}))
        for when in ("1", "2")
        for seed, label in enumerate(("b@1", "a@1"))
    ]
    baseline.write(tmp_path / "1.jsonl", runs[:2])
    baseline.write(tmp_path / "2.jsonl", runs[:1:-1])
    text = (tmp_path / "1.jsonl").read_text()
    assert text == (tmp_path / "2.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert lines[0] == {"baseline": 1} and [e["run"]["identity"]["tokenizer"]["name"] for e in lines if "run" in e] == ["a", "b"]
    clips = [line["clip"] for line in lines[2:27]]
    assert clips == sorted(clips) and "*" in clips and len(text) < 20_000


def test_a_changed_clip_changes_one_line_of_the_baseline(tmp_path: Path) -> None:
    other = good()
    other["speech"]["quality"]["s1/1"] = 2.5
    for name, scores in (("1", good()), ("2", other)):
        baseline.write(tmp_path / name, [made("codec@1", scores)])
    lines = [(tmp_path / name).read_text().splitlines() for name in "12"]
    assert len([1 for a, b in zip(*lines, strict=True) if a != b]) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[1:], ":1: no baseline of this version"),
        (lambda lines: [], ":1: no baseline of this version"),
        (lambda lines: [lines[0], *lines[2:]], ":2: a clip of no run"),
        (lambda lines: [*lines[:3], lines[3][:20]], ":4: not JSON"),
        (lambda lines: [*lines, "[1]"], ":28: not an object"),
        (lambda lines: [*lines, '{"clip": "x"}'], ":28: not a clip's scores"),
        (lambda lines: [*lines[:3], lines[3].replace('"quality":', '"quality":"a","x":')], ":4: not a clip's scores"),
        (lambda lines: [lines[0], lines[1].replace('"version":1', '"version":2'), *lines[2:]], ":2: its key is not that of its identity"),
    ],
)
def test_a_broken_baseline_names_its_line(tmp_path: Path, change: Callable[[list[str]], list[str]], message: str) -> None:
    path = tmp_path / "b.jsonl"
    baseline.write(path, [made("codec@1", good())])
    path.write_text("".join(line + "\n" for line in change(path.read_text().splitlines())))
    with pytest.raises(UserError) as error:
        baseline.read(path)
    assert f"{path}{message}" in str(error.value) and "\n" not in str(error.value)


def test_no_baseline_is_made_of_an_infinite_score(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="quality of s1/1 is inf"):
        baseline.write(tmp_path / "b", [made("codec@1", {"speech": {"quality": {"s1/1": math.inf}}})])
    assert not (tmp_path / "b").exists()


def test_an_unchanged_run_passes() -> None:
    assert {f.verdict for f in gate(good(), good()).values()} == {"same"}
    assert {f.verdict for f in gate(good(), good(), strict=True).values()} == {"same"}


@pytest.mark.parametrize(("metric", "worse"), [("quality", -0.1), ("distance", 0.1), ("wer", 0.1), ("gain_db", 2.0), ("gain_db", -2.0)])
def test_worse_is_in_the_metrics_direction(metric: str, worse: float) -> None:
    found = gate(good(), moved(metric, worse, noise=0.01))
    assert found[metric].verdict == "worse" and {f.verdict for name, f in found.items() if name != metric} == {"same"}
    if metric != "gain_db":  # further from zero is worse on either side
        assert gate(good(), moved(metric, -worse, noise=0.01))[metric].verdict == "better"


def test_within_the_tolerance_nothing_is_worse_however_sure() -> None:
    assert gate(good(), moved("quality", -0.019))["quality"].verdict == "same"
    assert gate(good(), moved("quality", -0.019), strict=True)["quality"].verdict == "same"


def test_what_may_be_chance_fails_only_when_strict() -> None:
    unsure = moved("quality", -0.15, noise=0.4)
    found = gate(good(), unsure)["quality"]
    assert found.verdict == "same" and found.p > 0.05 and found.change.value < -0.02
    assert gate(good(), unsure, strict=True)["quality"].verdict == "worse"


@pytest.mark.parametrize(("value", "verdict"), [(1.0005, "same"), (1.1, "worse"), (0.9, "better"), (math.nan, "missing")])
def test_values_of_the_whole_corpus_are_judged_by_their_tolerance(value: float, verdict: str) -> None:
    now = good()
    now["speech"]["entropy"]["*"] = value
    found = gate(good(), now)["entropy"]
    assert found.verdict == verdict and math.isnan(found.p)


def test_one_speaker_alone_is_judged_by_the_tolerance() -> None:
    before, now = ({"speech": {"quality": {f"anna/{i}": x + i for i in range(5)}}} for x in (3.0, 2.9))
    found = gate(before, now)["quality"]
    assert found.verdict == "worse" and "no test" in found.why


def test_facts_are_not_judged_but_may_not_go() -> None:
    now = good()
    now["speech"]["trials"]["*"] = 900.0
    assert gate(good(), now)["trials"].verdict == "same"
    del now["speech"]["trials"]
    assert gate(good(), now)["trials"].verdict == "gone"


def test_a_metric_that_is_gone_and_scores_that_are_missing_fail() -> None:
    now = good()
    del now["speech"]["distance"]
    now["speech"]["quality"]["s1/1"] = math.nan
    found = gate(good(), now)
    assert found["distance"].verdict == "gone" and found["quality"].verdict == "missing"
    assert found["quality"].why == "1 of 24 missing: silent"
    assert gate(now, now)["quality"].verdict == "same"  # no more are missing than were


def test_a_score_that_comes_back_is_no_offence() -> None:
    before = good()
    before["speech"]["quality"] = dict.fromkeys(before["speech"]["quality"], math.nan)
    assert gate(before, good())["quality"].verdict == "same"


def test_the_gate_has_one_family_of_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs: every p is corrected for the tests of both."""
    pairs = [
        (made(f"codec@{i}", good(i)), made(f"codec@{i}", moved("quality", -0.03, noise=0.05) if i == 0 else good(i))) for i in range(2)
    ]
    alone, both = judge(pairs[:1]), judge(pairs)
    first, second = (next(f for f in found if f.metric.name == "quality").p for found in (alone, both))
    assert second == pytest.approx(2 * first) and len([f for f in both if not math.isnan(f.p)]) == 8


def alarms(speakers: int, metrics: int, sims: int, spread: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]) -> float:
    """How often a gate fails among codecs as good as their baselines: every tolerance is exceeded by any change at all."""
    rng, failed = np.random.default_rng([speakers, metrics]), 0
    facts = [
        {"name": f"m{k}", "unit": "", "better": ("higher", "lower")[k % 2], "tolerance": 1e-9, "per": "clip", "span": [None, None]}
        for k in range(metrics)
    ]
    record = {"metrics": facts}
    for _ in range(sims):
        hard = rng.normal(3, 1, (metrics, 3 * speakers))
        common = spread(rng, (1, 3 * speakers)) * 0.5  # metrics of a clip move together
        voices = np.tile(spread(rng, (metrics, speakers)), 3) * 0.5
        after = hard + common + voices + spread(rng, (metrics, 3 * speakers))
        runs = [
            made("codec@1", speech({f"m{k}": values.tolist() for k, values in enumerate(scores)}, speakers), record=record)
            for scores in (hard, after)
        ]
        failed += any(f.failed for f in judge([(runs[0], runs[1])]))
    return failed / sims


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.normal(0, 0.1, shape)


def heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Most clips hardly change, some a lot."""
    return 0.1 * rng.standard_t(3, shape)


@pytest.mark.slow
@pytest.mark.parametrize("spread", [normal, heavy])
@pytest.mark.parametrize(("speakers", "metrics"), [(7, 20), (20, 10)])
def test_false_alarms_are_at_most_5_percent(speakers: int, metrics: int, spread) -> None:
    assert alarms(speakers, metrics, 1000, spread) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 1000)


def test_false_alarms_are_few() -> None:
    assert alarms(8, 10, 200, normal) <= 0.08


@pytest.fixture
def place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A results folder of two runs, and their baseline."""
    keep(tmp_path / "r", "codec@1", good())
    keep(tmp_path / "r", "other@1", good(1))
    words = ("gate", "--baseline", tmp_path / "b.jsonl", "--results", tmp_path / "r")
    code, out, err = bench(*words, "--update", capsys=capsys)
    assert code == 0 and not err and out.count("\n") == 2 and "b.jsonl: codec@1, toy v1, from" in out
    return tmp_path


def words(place: Path, results: str = "r") -> tuple[object, ...]:
    return ("gate", "--baseline", place / "b.jsonl", "--results", place / results)


def test_an_unchanged_run_exits_with_0(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = bench(*words(place), capsys=capsys)
    assert code == 0 and not err and "Gate passed. 12 scores of 2 runs against the baseline: 0 worse or missing, 0 better" in out


def test_offenders_stand_in_a_table_a_summary_and_a_junit_file_and_the_code_is_1(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    bad = moved("quality", -0.5, noise=0.01)
    bad["speech"]["distance"]["s1/1"] = math.nan
    keep(place / "new", "codec@1", bad, code="changed", note="<b>nothing</b> | \x07 heard & lost")
    files = ("--summary", place / "s.md", "--junit", place / "j.xml")
    code, out, err = bench(*words(place, "new"), "--tokenizer", "codec", *files, capsys=capsys)
    assert code == 1 and not err and "Gate failed. 6 scores of 1 run against the baseline: 2 worse or missing, 0 better" in out
    assert "quality ↑" in out and "-0.50" in out and "<0.001" in out and "1 of 24 missing: <b>nothing</b> | " in out
    summary = (place / "s.md").read_text()
    assert summary.startswith("### Gate failed. ") and "| codec@1 | toy | speech | quality ↑ | worse by &gt; 0.02 MOS |" in summary
    assert "&lt;b&gt;nothing&lt;/b&gt; \\|" in summary and "<b>" not in summary
    clips = [line.split(" | ") for line in summary.partition("**Worst clips**")[2].splitlines() if line.startswith("| codec@1")]
    moves = [float(cells[-1].strip("| ")) for cells in clips if "quality" in cells[3]]
    assert len(moves) == 5 and moves == sorted(moves) and moves[0] < -0.5
    assert ["distance ↓", "s1/1"] in [cells[3:5] for cells in clips]
    accept = f"bench gate --baseline {place / 'b.jsonl'} --results {place / 'new'} --tokenizer codec --update"
    assert f"accept it and commit the baseline: {accept}" in summary
    root = ElementTree.parse(place / "j.xml").getroot()
    assert (root.get("tests"), root.get("failures")) == ("6", "2")
    failures = {case.get("name"): failure.get("type") for case in root.iter("testcase") for failure in case.iter("failure")}
    assert failures == {"speech.quality": "worse", "speech.distance": "missing"}
    assert any("<b>nothing</b> | ? heard & lost" in str(failure.get("message")) for failure in root.iter("failure"))
    assert root[0].get("name") == "toy.codec@1"


def test_strict_is_the_tolerance_alone(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(place / "new", "codec@1", moved("quality", -0.15, noise=0.4))
    chosen = (*words(place, "new"), "--tokenizer", "codec@1")
    assert bench(*chosen, capsys=capsys)[0] == 0
    code, out, _ = bench(*chosen, "--strict", capsys=capsys)
    assert code == 1 and "(--strict)" in out and "Holm over" not in out


def test_what_got_better_is_said_and_passes(place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    keep(place / "new", "codec@1", moved("quality", 0.5, noise=0.01))
    code, out, _ = bench(*words(place, "new"), "--tokenizer", "codec", capsys=capsys)
    assert code == 0 and "1 better" in out and f"bench gate --baseline {place / 'b.jsonl'}" in out and "+0.50" in out


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        ({"version": 2}, "suite version (1 and 2)"),
        ({"data": "e" * 64}, "data sha256 (dddddddd: toys, 24 clips and eeeeeeee"),
        ({"judge": "j"}, "judge"),
    ],
)
def test_unlike_fingerprints_are_exit_code_2_with_what_to_do(
    place: Path, identity: dict, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(place / "new", "codec@1", good(), **identity)
    code, out, err = bench(*words(place, "new"), "--tokenizer", "codec", "--summary", place / "s.md", capsys=capsys)
    assert code == 2 and not out and err.count("\n") == 1 and said in err and "bench gate --update" in err
    assert (place / "s.md").read_text().startswith("### Gate could not decide") and said in (place / "s.md").read_text()


def test_a_run_that_is_not_there_is_exit_code_2(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(place / "new", "codec@1", good())
    code, _, err = bench(*words(place, "new"), capsys=capsys)
    assert code == 2 and "has no run of other@1, toy, which the baseline has: make it with bench run" in err


def test_a_run_that_is_not_in_the_baseline_is_said_not_to_be_judged(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(place / "r", "third@1", good(2))
    code, out, _ = bench(*words(place), capsys=capsys)
    assert code == 0 and "not in the baseline, so not checked: third@1, toy" in out
    code, _, err = bench(*words(place), "--tokenizer", "third", capsys=capsys)
    assert code == 2 and "has none of the runs chosen, but codec@1 (toy), other@1 (toy): add them with --update" in err


def test_a_run_that_stopped_half_way_is_neither_judged_nor_kept(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(place / "new", "codec@1", good(), clips=30)
    before = (place / "b.jsonl").read_bytes()
    for more in ((), ("--update",)):
        code, _, err = bench(*words(place, "new"), "--tokenizer", "codec", *more, capsys=capsys)
        assert code == 2 and "6 of 30 clips have not run yet" in err
    assert (place / "b.jsonl").read_bytes() == before


def test_of_two_runs_of_a_label_the_newest_is_judged_and_a_folder_names_the_other(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = next((place / "r" / "toy").glob("codec@1-*"))
    folder = keep(place / "r", "codec@1", moved("quality", -0.5), code="changed", record={"started": "2026-01-02T03:04:05+00:00"})
    code, _, err = bench(*words(place), capsys=capsys)
    assert code == 1 and f"codec@1: {folder}, the newest of 2 runs (--run names another)" in err
    assert bench(*words(place), "--tokenizer", folder, capsys=capsys)[0] == 1
    assert bench(*words(place), "--run", old, capsys=capsys)[0] == bench(*words(place), "--tokenizer", old, capsys=capsys)[0] == 0


def test_a_smoke_test_on_fewer_clips_is_not_what_is_judged(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    smoke = {"started": "2027-01-02T03:04:05+00:00"}
    keep(place / "r", "codec@1", speech({"quality": [1.0, 2.0]}), data="e" * 64, record=smoke)
    assert bench(*words(place), capsys=capsys)[0] == 0
    code, _, err = bench(*words(place), "--limit", "2", "--tokenizer", "codec", capsys=capsys)
    assert code == 2 and "differ in data sha256" in err


def test_an_update_replaces_the_chosen_runs_and_keeps_the_others(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = moved("quality", -0.5)
    keep(place / "new", "codec@1", bad)
    assert bench(*words(place, "new"), "--tokenizer", "codec", capsys=capsys)[0] == 1
    code, out, _ = bench(*words(place, "new"), "--update", capsys=capsys)
    assert code == 0 and "other@1, toy v1, as it was" in out
    assert bench(*words(place, "new"), "--tokenizer", "codec", capsys=capsys)[0] == 0
    assert [run.label for run in baseline.read(place / "b.jsonl")] == ["codec@1", "other@1"]


def test_suites_may_be_chosen(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(place / "r", "codec@1", good(), suite="toy2")
    bench(*words(place), "--update", capsys=capsys)
    code, out, _ = bench(*words(place), "--suite", "toy2", capsys=capsys)
    assert code == 0 and "6 scores of 1 run " in out
    code, _, err = bench(*words(place), "--suite", "toy3", capsys=capsys)
    assert code == 2 and "no run of the suite toy3" in err


@pytest.mark.parametrize("flag", ["--summary", "--junit"])
def test_a_file_that_cannot_be_written_is_one_line(place: Path, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = bench(*words(place), flag, place / "nowhere" / "file", capsys=capsys)
    assert code == 2 and err.count("\n") == 1 and "nowhere/file" in err and f"another place for {flag}" in err


def test_without_a_baseline_the_cure_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(tmp_path / "r", "codec@1", good())
    code, _, err = bench(*words(tmp_path), capsys=capsys)
    assert code == 2 and f"write it with bench gate --baseline {tmp_path}/b.jsonl --update" in err


def test_the_code_and_the_weights_of_a_codec_may_change(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(place / "new", "codec@1", good(), code="changed", weights="sha256:other", codebooks=[[512, 50.0]])
    assert bench(*words(place, "new"), "--tokenizer", "codec", capsys=capsys)[0] == 0


def test_findings_know_which_run_they_are_of() -> None:
    pairs: list[tuple[Kept, Kept]] = [(made("codec@1", good()), made("codec@1", good()))]
    assert {(f.suite, f.tokenizer) for f in judge(pairs)} == {("toy", "codec@1")}
