"""bench compare: the numbers of its lines, what is marked, what is refused, and five ways to print it."""

import csv
import io
import json
import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.cli import main
from bench.compare.ladders import ladders, rate_lines
from bench.compare.lines import Comparison, Line, compare
from bench.data.manifests import open_data
from bench.records.provenance import used
from tests.conftest import ROOT
from tests.runs import Scores, keep, made, speech

RNG = np.random.default_rng(0)
HARD = RNG.normal(3, 0.5, 24)  # how hard each clip is: what pairing takes out


def quality(shift: float, spread: float = 0.05, seed: int = 0) -> dict[str, dict[str, dict[str, float]]]:
    noise = np.random.default_rng(seed).normal(0, spread, 24)
    return speech({"quality": (HARD + shift + noise).tolist()}, speakers=8)


def compared(*scores: Mapping[str, Scores], columns: tuple[str, ...] = ()) -> Comparison:
    return compare([made(f"codec@{i}", given) for i, given in enumerate(scores)], columns=columns)


def only(comparison: Comparison, tokenizer: str, metric: str = "quality") -> Line:
    (line,) = [line for line in comparison.lines if (line.tokenizer, line.metric.name) == (tokenizer, metric)]
    return line


def bench(*words: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_difference_is_the_tokenizer_less_the_reference_on_the_clips_that_both_have() -> None:
    first, second = quality(0), quality(0.3, seed=1)
    rows = second["speech"]["quality"]
    lost = list(rows)[:3]
    second["speech"]["quality"] |= dict.fromkeys(lost, math.nan)
    found = only(compared(first, second), "codec@1")
    expected = [rows[clip] - first["speech"]["quality"][clip] for clip in rows if clip not in lost]
    assert found.difference is not None and found.difference.clips == 21
    assert found.difference.estimate.value == pytest.approx(np.mean(expected))
    assert (found.summary.n, found.summary.n_missing) == (21, 3)


def test_marks_are_for_the_best_and_for_what_cannot_be_told_from_it() -> None:
    found = compared(quality(0), quality(0.4, seed=1), quality(0.405, seed=2))
    ranks = {line.tokenizer: line.rank for line in found.lines}
    assert ranks["codec@0"] == "" and sorted((ranks["codec@1"], ranks["codec@2"])) == ["best", "tied"]


@pytest.mark.parametrize(("metric", "best"), [("quality", "codec@1"), ("distance", "codec@0"), ("gain_db", "codec@0"), ("trials", None)])
def test_best_is_in_the_metrics_direction(metric: str, best: str | None) -> None:
    values = [speech({metric: [sign * x for x in (1.0, 1.1, 0.9, 1.2, 0.95, 1.05)]}, 6) for sign in (-1, 4)]
    if metric == "distance":
        values = [speech({metric: [0.1, 0.2, 0.15, 0.1]}, 4), speech({metric: [1.1, 1.2, 1.15, 1.1]}, 4)]
    ranked = [line.tokenizer for line in compared(*values).lines if line.rank == "best"]
    assert ranked == ([best] if best else [])


def test_nobody_is_best_by_failing_on_the_hard_clips() -> None:
    honest, clever = quality(0.2), quality(0, seed=1)
    hardest = sorted(clever["speech"]["quality"], key=lambda clip: clever["speech"]["quality"][clip])[:12]
    clever["speech"]["quality"] |= dict.fromkeys(hardest, math.nan)
    found = compared(honest, clever)
    assert only(found, "codec@1").summary.mean > only(found, "codec@0").summary.mean
    assert only(found, "codec@0").rank == "best" and only(found, "codec@1").rank == ""


def test_a_metric_that_should_be_zero_is_compared_by_magnitude() -> None:
    left, right = speech({"gain_db": [3.0, -3.0] * 6}, 6), speech({"gain_db": [1.0, 1.1] * 6}, 6)
    line = only(compared(left, right), "codec@1", "gain_db")
    assert line.difference is not None and line.difference.estimate.value == pytest.approx(-1.95) and line.rank == "best"


def test_word_errors_are_those_of_the_corpus() -> None:
    a = {"speech": {"wer": {"1": (0.5, 2.0), "2": (0.0, 8.0), "3": (0.25, 4.0)}}}
    b = {"speech": {"wer": {"1": (1.0, 2.0), "2": (0.0, 8.0), "3": (0.25, 4.0)}}}
    line = only(compared(a, b), "codec@1", "wer")
    assert line.summary.mean == pytest.approx(3 / 14)
    assert line.difference is not None and line.difference.estimate.value == pytest.approx(1 / 14)


def test_holm_counts_all_tests_of_the_table() -> None:
    def scores(seed: int) -> dict[str, Scores]:
        found: dict[str, Scores] = {"speech": quality(0.03 * seed, seed=seed)["speech"] | {"entropy": {"*": 1.0}, "trials": {"*": 5.0}}}
        found["music"] = {"quality": {f"m{i}": float(v) for i, v in enumerate(np.random.default_rng(9 + seed).normal(0, 1, 8))}}
        return found

    found = compared(scores(0), scores(1), scores(2))
    assert found.tests == 4  # two tokenizers, two domains; neither corpus values nor facts
    for line in found.lines:
        if line.difference and not math.isnan(line.p):
            assert line.p >= min(1.0, line.difference.estimate.p)
    smallest = min((line for line in found.lines if not math.isnan(line.p)), key=lambda line: line.p)
    assert smallest.difference is not None and smallest.p == pytest.approx(4 * smallest.difference.estimate.p)
    one = compared(scores(0), scores(1), columns=("quality",))
    assert one.tests == 2


def test_values_of_the_whole_corpus_have_no_test_and_tie_within_their_tolerance() -> None:
    found = compared(*({"speech": {"entropy": {"*": value}}} for value in (1.0, 1.0005, 1.2)))
    assert [line.rank for line in found.lines] == ["best", "tied", ""]
    assert all(math.isnan(line.p) and math.isnan(line.summary.low) for line in found.lines)


def test_a_metric_that_one_lacks_is_shown_and_not_compared() -> None:
    found = compared(quality(0), {"speech": {"distance": {clip: 1.0 for clip in quality(0)["speech"]["quality"]}}})
    line = only(found, "codec@1")
    assert line.summary.n == 0 and line.difference is None and line.rank == ""


def test_columns_are_printed_in_the_order_they_are_named_and_a_wrong_one_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = speech({"quality": [1.0, 2.0, 3.0], "wer": [0.1, 0.2, 0.3]})
    for i in "01":
        keep(tmp_path, f"codec@{i}", scores)
    words = ("compare", "codec@*", "--suite", "toy", "--results", tmp_path)
    code, out, _ = bench(*words, "--columns", "wer,quality", "--format", "csv", capsys=capsys)
    assert code == 0 and [line["metric"] for line in csv.DictReader(io.StringIO(out))] == ["wer", "wer", "quality", "quality"]
    code, _, err = bench(*words, "--columns", "qualty", capsys=capsys)
    assert code == 2 and "did you mean 'quality'" in err and err.count("\n") == 1


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two ladders, a name that would like to be markup, a missing score."""
    for i, (label, shift, rate) in enumerate(
        [
            ("opus@6", 0.0, 6.0),
            ("opus@12", 0.4, 12.0),
            ("opus@24", 0.9, 24.0),
            ("enc@1", 0.1, 1.5),
            ("enc@2", 0.5, 3.0),
            ("enc@3", 0.8, 6.0),
        ]
    ):
        given: dict[str, dict[str, dict[str, float]]] = {"speech": {**quality(shift, seed=i)["speech"]}}
        given["speech"]["kbps_packed"] = dict.fromkeys(given["speech"]["quality"], rate)
        keep(tmp_path, label, given)
    odd = quality(0.2, seed=9)
    odd["speech"]["quality"]["s1/1"] = math.nan
    keep(tmp_path, "[red]<b>|$x_1&\\@%", odd, weights="seed:0", note="<i>silent</i> | clip")
    return tmp_path


def test_every_format_says_the_same_numbers(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("compare", "opus@6", "opus@12", "--suite", "toy", "--results", runs)
    line = next(
        row for row in csv.DictReader(io.StringIO(bench(*words, "--format", "csv", capsys=capsys)[1])) if row["tokenizer"] == "opus@12"
    )
    shown = f"{float(line['difference']):+.2f} [{float(line['difference_low']):+.2f}, {float(line['difference_high']):+.2f}]"
    for style in ("table", "markdown", "latex"):
        code, out, _ = bench(*words, "--format", style, "--layout", "paired", capsys=capsys)
        assert code == 0 and shown in out and "corrected by Holm for all 2 tests" in " ".join(out.replace("% ", "").split())
    whole = json.loads(bench(*words, "--format", "json", capsys=capsys)[1])
    (same,) = [entry for entry in whole["lines"] if entry["tokenizer"] == "opus@12" and entry["metric"] == "quality"]
    assert same["difference"] == float(line["difference"]) and same["p_holm"] == float(line["p_holm"]) and same["low"] == float(line["low"])
    assert whole["tests"] == 2 and whole["tokenizers"][0]["label"] == "opus@6" and whole["fingerprint"]["version"] == 1


def test_no_name_is_markup_in_any_format(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("compare", "opus@6", "*red*", "--suite", "toy", "--results", runs)
    name = "[red]<b>|$x_1&\\@%"
    assert name in bench(*words, capsys=capsys)[1]
    assert "[red]&lt;b&gt;\\|$x_1&amp;\\\\@%" in (markdown := bench(*words, "--format", "markdown", capsys=capsys)[1])
    assert "&lt;i&gt;silent&lt;/i&gt; \\| clip" in markdown and "<" not in markdown.replace("&lt;", "")
    assert (
        "[red]\\textless{}b\\textgreater{}\\textbar{}\\$x\\_1\\&\\textbackslash{}@\\%"
        in bench(*words, "--format", "latex", capsys=capsys)[1]
    )
    assert next(csv.DictReader(io.StringIO(bench(*words[:2], *words[3:2], *words[2:], "--format", "csv", capsys=capsys)[1])))
    assert json.loads(bench(*words, "--format", "json", capsys=capsys)[1])["tokenizers"][1]["label"] == name
    assert f"{name} (untrained)" in markdown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").replace("\\|", "|").replace(
        "\\\\", "\\"
    )


def test_latex_is_balanced_and_has_booktabs_rules(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("compare", "opus@*", "enc@*", "--suite", "toy", "--results", runs, "--bd-rate", "quality", "--format", "latex")
    code, out, _ = bench(*words, capsys=capsys)
    body = [line for line in out.splitlines() if not line.startswith("%")]
    assert code == 0 and sum(line.startswith("\\begin") for line in body) == sum(line.startswith("\\end") for line in body) == 4
    assert all(out.count(rule) == 2 for rule in ("\\toprule", "\\midrule", "\\bottomrule"))
    widths = [line.replace("\\&", "").count("&") for line in body if line.endswith("\\\\")]
    specs = [line.split("{")[2].rstrip("}") for line in body if line.startswith("\\begin{tabular}")]
    assert set(widths) == {len(spec) - 1 for spec in specs}
    plain = "".join(body).replace("\\{", "").replace("\\}", "")
    assert plain.count("{") == plain.count("}") and plain.count("$") % 2 == 0


def test_a_missing_score_is_counted_and_its_reason_stands_below(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = bench("compare", "opus@6", "*red*", "--suite", "toy", "--results", runs, capsys=capsys)
    assert "] -1" in out and "1 clip without quality: <i>silent</i> | clip" in out and "23" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("opus@6",), "name a second run to compare it with"),
        (("enc",), "enc ran in several variants"),
        (("opus",), "no run of opus (opus@6kbps) in"),
        (("opus@6", "nobody"), "no run of nobody in"),
        (("opus@6", "opus@12", "--bd-rate", "quality"), "--bd-rate needs two codecs at three bitrates or more each"),
        (("opus@*", "enc@*", "--bd-rate", "gain_db"), "no such metric 'gain_db'"),
        (("opus@6", "opus@12", "--by", "sample-rate"), "rows hold no sample rates: name the data that the runs were made with as --data"),
        (("opus@6", "opus@12", "--reference", "nobody"), "no run of nobody in"),
    ],
)
def test_what_cannot_be_compared_is_one_line(runs: Path, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = bench("compare", *words, "--suite", "toy", "--results", runs, capsys=capsys)
    assert code == 2 and not out and err.count("\n") == 1 and message in err


def test_unlike_runs_are_refused_with_what_differs(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(runs, "new@1", quality(0), version=2)
    code, out, err = bench("compare", "opus@6", "new@1", "--suite", "toy", "--results", runs, capsys=capsys)
    assert code == 2 and not out and "they differ in suite version (1 and 2)" in err


def test_a_missing_value_of_the_whole_corpus_has_its_reason_below(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(runs, "vbr@1", {"speech": {"quality": {"s1/1": 3.0}, "entropy": {"*": math.nan}}}, note="variable rate")
    _, out, _ = bench("compare", "opus@6", "vbr@1", "--suite", "toy", "--results", runs, capsys=capsys)
    assert "vbr@1: no entropy of speech: variable rate" in out


def test_a_run_that_stopped_half_way_is_said_to(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(runs, "half@1", quality(0), clips=40)
    _, out, _ = bench("compare", "opus@6", "half@1", "--suite", "toy", "--results", runs, capsys=capsys)
    assert "half@1: 16 of 40 clips have not run yet" in out


def test_other_versions_of_a_package_are_noted(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i, version in enumerate(("2.0", "3.0")):
        keep(runs, f"new@{i}", quality(0), record={"packages": {"torch": version, "pesq": "1"}})
    _, out, _ = bench("compare", "new@*", "--suite", "toy", "--results", runs, capsys=capsys)
    assert "not the same everywhere: torch 2.0 / 3.0" in out


@pytest.mark.parametrize(
    ("suite", "package", "noted"),
    [
        ("reconstruction", "pesq", True),
        ("reconstruction", "torch", True),
        ("reconstruction", "resemblyzer", False),
        ("reconstruction", "openai-whisper", False),
        ("reconstruction", "pycodec2", False),
        ("speaker", "pesq", False),
        ("codes", "pesq", False),
        ("toy", "pesq", True),
    ],
)
def test_packages_that_the_suite_does_not_use_are_not_noted(
    tmp_path: Path, suite: str, package: str, noted: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in (1, 2):
        keep(tmp_path, f"new@{i}", quality(0), suite=suite, record={"packages": {package: f"{i}.0"}})
    _, out, _ = bench("compare", "new@*", "--suite", suite, "--results", tmp_path, capsys=capsys)
    assert (f"not the same everywhere: {package} 1.0 / 2.0" in out) == noted


def test_of_evaluators_only_the_one_that_was_asked_is_noted() -> None:
    asked = "pocketsphinx_closed sha256:ab, words of the data"
    assert used("pocketsphinx", "asr", ["mimi"], asked) and used("jiwer", "asr", ["mimi"], asked)
    assert not used("openai-whisper", "asr", ["mimi"], asked) and used("openai-whisper", "asr", ["mimi"], "whisper_base sha256:ab")
    assert used("ctranslate2", "asr", ["mimi"], "faster_whisper_base sha256:ab") and not used(
        "ctranslate2", "asr", ["mimi"], "whisper_base"
    )
    assert used("pycodec2", "reconstruction", ["mimi", "codec2"])


def test_another_reference_turns_the_difference_round(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("compare", "opus@6", "opus@12", "--suite", "toy", "--results", runs, "--format", "csv")

    def differences(*more: str) -> dict[str, float]:
        out = bench(*words, *more, capsys=capsys)[1]
        return {
            r["tokenizer"]: float(r["difference"]) for r in csv.DictReader(io.StringIO(out)) if r["difference"] and r["metric"] == "quality"
        }

    assert differences()["opus@12"] == pytest.approx(-differences("--reference", "opus@12")["opus@6"])
    assert set(differences("--reference", "enc@1")) == {"opus@6", "opus@12"}


def test_the_rate_of_two_ladders_is_compared_at_equal_quality(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("compare", "opus@*", "enc@*", "--suite", "toy", "--results", runs)
    code, out, _ = bench(*words, "--bd-rate", "quality", "--format", "csv", capsys=capsys)
    (line,) = [row for row in csv.DictReader(io.StringIO(out)) if row["metric"] == "bd_rate:quality"]
    assert (line["tokenizer"], line["reference"], line["unit"]) == ("enc@*", "opus@*", "%")
    assert -85 < float(line["difference_low"]) < float(line["difference"]) < float(line["difference_high"]) < -70
    assert "several bitrates: opus@* (3 rates), enc@* (3 rates); --bd-rate METRIC" in " ".join(bench(*words, capsys=capsys)[1].split())
    _, table, _ = bench(*words, "--bd-rate", "quality", capsys=capsys)
    assert "BD-rate: bitrate for the same quality" in table and "that of the packed codes" in table
    _, out, _ = bench(*words, "--reference", "enc@1", "--bd-rate", "quality", "--format", "csv", capsys=capsys)
    (turned,) = [row for row in csv.DictReader(io.StringIO(out)) if row["metric"] == "bd_rate:quality"]
    assert turned["reference"] == "enc@*" and float(turned["difference"]) > 100


def test_a_ladder_is_one_codec_of_one_rate_with_one_set_of_weights() -> None:
    runs = [made(f"a@{i}", quality(i), weights=f"sha256:{i // 3}") for i in range(5)]
    assert [(ladder.name, len(ladder.runs)) for ladder in ladders(runs)] == [("a@*", 3)]


def test_without_a_measured_rate_the_nominal_one_counts_and_a_varying_one_is_nan_with_a_note() -> None:
    books = {"a": [[[1024, 75.0]] * k for k in (2, 4, 8)], "b": [[[1024, 50.0]] * k for k in (2, 4, 8)], "c": [[[256, None]]] * 3}
    runs = [
        made(f"{name}@{i}", quality(0.3 * i, seed=i), codebooks=book) for name, ladder in books.items() for i, book in enumerate(ladder)
    ]
    found = ladders(runs)
    b, c = rate_lines(found, [runs[0].metrics["quality"]])
    assert not b.measured and b.delta.percent == pytest.approx(100 * (50 / 75 - 1), abs=0.1)
    assert math.isnan(c.delta.percent) and "no bitrate" in c.delta.note


def test_the_interval_of_a_bd_rate_covers_the_truth() -> None:
    """b needs 20 % less for the same mean quality, log-linear ladders; twelve speakers differ in how much of it they show."""
    rng, hits = np.random.default_rng(4), 0
    for _ in range(150):
        voices, runs = rng.normal(0, 0.25, 12), []
        for name, factor in (("a", 1.0), ("b", 0.8)):
            shown = rng.normal(0, 0.08, 12)
            for rate in (2, 4, 8, 16):
                values = voices + shown + np.log2(rate) + rng.normal(0, 0.02, 12)
                given = speech({"quality": values.tolist(), "kbps_packed": [factor * rate] * 12})
                runs.append(made(f"{name}@{rate}", given))
        (line,) = rate_lines(ladders(runs), [runs[0].metrics["quality"]])
        hits += line.low <= -20 <= line.high
    assert 0.91 <= hits / 150 <= 0.99


def test_clips_of_each_sample_rate_stand_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    for i in range(8):
        soundfile.write(tmp_path / "data" / f"{i}.wav", np.zeros(800), 16_000 if i < 5 else 44_100)
    data = open_data(str(tmp_path / "data"))
    for i, shift in enumerate((0.0, 0.5)):
        scores = {clip.id: shift + (float(clip.id[0]) if int(clip.id[0]) < 5 else -2 * shift) for clip in data.clips}
        given: dict[str, Scores] = {"speech": {"quality": scores, "entropy": {"*": 1.0}}}
        keep(tmp_path, f"codec@{i}", given, data=data.sha256, record={"data_name": "data"})
    words = ("compare", "codec@*", "--suite", "toy", "--results", tmp_path, "--by", "sample-rate", "--format")
    code, out, _ = bench(*words, "csv", "--data", tmp_path / "data", capsys=capsys)
    found = {(r["sample_rate"], r["tokenizer"]): r for r in csv.DictReader(io.StringIO(out))}
    assert code == 0 and len(found) == 4 and "entropy" not in out
    assert (found["16000", "codec@1"]["n"], found["44100", "codec@1"]["n"]) == ("5", "3")
    assert float(found["16000", "codec@1"]["difference"]) == 0.5 and float(found["44100", "codec@1"]["difference"]) == -0.5
    assert "speech, 44.1 kHz (n = 3)" in bench(*words, "table", "--data", tmp_path / "data", capsys=capsys)[1]
    soundfile.write(tmp_path / "data" / "0.wav", np.ones(800), 16_000)
    code, _, err = bench(*words, "csv", "--data", tmp_path / "data", capsys=capsys)
    assert code == 2 and "no finished run of codec@* with --data" in err


def test_compare_and_gate_do_not_wait_for_torch() -> None:
    script = (
        "import sys, bench.records.reader, bench.report.writers, bench.compare.ladders, bench.gate.report\nprint('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "False\n"
