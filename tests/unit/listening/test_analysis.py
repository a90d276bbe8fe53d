"""Known preferences are found again, the careless are screened out, and where there is no difference none is found."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest

from bench.api import UserError
from bench.cli import main
from bench.listening import analysis, answers, told
from tests.listeners import QUALITY, TOKENIZERS, answer, blind_test, conditions

TESTS = 120  # that are simulated
ORDER = ["reference", "good@a", "anchor 7 kHz", "fair@b", "poor@c", "anchor 3.5 kHz"]


@pytest.fixture(scope="module")
def test_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return blind_test(tmp_path_factory.mktemp("test"))


@pytest.fixture(scope="module")
def key(test_folder: Path) -> answers.Key:
    return answers.read_key(test_folder)


def test_the_known_order_is_found_and_a_careless_listener_is_out(test_folder: Path, key: answers.Key, tmp_path: Path) -> None:
    file = answer(test_folder, tmp_path / "a.csv", 10, careless=["l3"])
    found = analysis.analyse(answers.read([file], key))
    assert [s.listener for s in found.screened if s.out] == ["l3"] and len(found.answers.listeners) == 9
    means = {m.name: m.estimate for m in found.means}
    assert sorted(means, key=lambda name: -means[name].value) == ORDER
    assert all(e.low < e.value < e.high or e.value > 97 for e in means.values())
    assert {(d.a, d.b): d.p < 0.05 for d in found.differences}[("good@a", "poor@c")]
    assert {(d.a, d.b) for d in found.differences} == {
        *(("reference", name) for name in TOKENIZERS),
        *(("good@a", "fair@b"), ("good@a", "poor@c"), ("fair@b", "poor@c")),
    }
    assert len(analysis.analyse(answers.read([file], key), screen=False).answers.listeners) == 10


def test_a_metric_that_follows_the_ratings_correlates_and_a_constant_has_no_correlation(
    test_folder: Path, key: answers.Key, tmp_path: Path
) -> None:
    found = analysis.analyse(answers.read([answer(test_folder, tmp_path / "a.csv", 12)], key)).correlations
    quality = next(c for c in found if c.metric == "quality")
    assert quality.pearson > 0.8 and quality.spearman > 0.8 and quality.clips == 18
    assert quality.spearman_means == pytest.approx(1) and quality.pearson_means > 0.97 and quality.tokenizers == 3
    assert math.isnan(next(c for c in found if c.metric == "kbps_packed").pearson)


def test_correlations_are_those_of_scipy() -> None:
    from scipy.stats import pearsonr, spearmanr

    points = np.random.default_rng(0).integers(0, 9, (30, 2)).astype(float)
    pearson, spearman = analysis.correlation(points.tolist())
    assert pearson == pytest.approx(pearsonr(*points.T)[0]) and spearman == pytest.approx(spearmanr(*points.T)[0])


@pytest.mark.parametrize(("missed", "trials", "out"), [(0, 6, False), (1, 7, False), (1, 6, True), (3, 20, False), (4, 20, True)])
def test_the_rule_is_more_than_15_per_cent_of_trials(missed: int, trials: int, out: bool) -> None:
    assert analysis.Screened("l", trials, missed, 0, 0).out is out


def simulated(rng: np.random.Generator, quality: dict[str, float], listeners: int, items: int) -> answers.Answers:
    """Ratings in which listeners and items differ in how they like each condition."""
    names = {"reference": "reference", **dict.fromkeys(quality, "tokenizer")}
    sounds = {f"{i}{name}": answers.Condition(f"i{i}", kind, name, {}) for i in range(items) for name, kind in names.items()}
    own, of_item = ({(side, name): rng.normal(0, s) for side in range(n) for name in quality} for n, s in ((listeners, 6), (items, 5)))
    ratings = [
        answers.Rating(f"l{who}", f"i{i}", name, 100.0 if name == "reference" else q + own[who, name] + of_item[i, name] + rng.normal(0, 8))
        for who in range(listeners)
        for i in range(items)
        for name, q in {"reference": 100.0, **quality}.items()
    ]
    return answers.Answers(answers.Key("t", "", sounds, [], []), tuple(ratings))


def test_where_no_tokenizer_is_better_one_test_in_twenty_says_so_at_most() -> None:
    rng, alarms, covered = np.random.default_rng(1), 0, 0
    quality = dict.fromkeys("abcd", 55.0)
    for _ in range(TESTS):
        found = simulated(rng, quality, 12, 8)
        alarms += any(d.p < 0.05 for d in analysis.differences(found) if d.a != "reference")
        mean = analysis.mean(found, "a", "tokenizer").estimate
        covered += mean.low <= 55 <= mean.high
    error = math.sqrt(0.05 * 0.95 / TESTS)
    assert alarms / TESTS <= 0.05 + 3 * error
    assert covered / TESTS >= 0.95 - 3 * error


def test_a_difference_of_sixteen_points_is_found_by_a_dozen_listeners() -> None:
    rng = np.random.default_rng(2)
    found = [analysis.differences(simulated(rng, {"a": 60.0, "b": 44.0}, 12, 8)) for _ in range(40)]
    powers = [next(d for d in several if {d.a, d.b} == {"a", "b"}).p < 0.05 for several in found]
    assert np.mean(powers) > 0.8


def test_the_tables_name_who_is_out_and_every_form_has_the_numbers(
    test_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = answer(test_folder, tmp_path / "a.csv", 8, careless=["l3"])
    command = ["listening", "analyse", str(file), "--test", str(test_folder)]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "out by BS.1534-3: l3 rated the hidden reference below 90 in" in text and "7 of 8 listeners counted" in text
    assert main([*command, "--format", "markdown"]) == 0
    assert "| good@a | tokenizer |" in capsys.readouterr().out
    assert main([*command, "--format", "json"]) == 0
    lines = json.loads(capsys.readouterr().out)["lines"]
    assert {"reference", "tokenizer", "anchor", "difference", "correlation of clips", "listener"} <= {line["what"] for line in lines}
    assert main([*command, "--format", "csv"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 1 + len(lines) and rows[0].split(",") == list(told.COLUMNS)


def test_a_file_that_is_no_answer_is_told_with_its_line(test_folder: Path, key: answers.Key, tmp_path: Path) -> None:
    good = answer(test_folder, tmp_path / "a.csv", 1).read_text()
    item, condition, _ = conditions(test_folder)[0]
    head = "test,listener,item,condition,rating\n"
    cases = {
        "answer to the test other": head + f"other,l,{item},{condition},5\n",
        "is not between": head + f"{key.test},l,{item},{condition},101\n",
        "is no number": head + f"{key.test},l,{item},{condition},good\n",
        "has no sound": head + f"{key.test},l,{item},ffff,5\n",
        "no listener": head + f"{key.test},,{item},{condition},5\n",
        "lacks the columns": "a,b\n1,2\n",
        "already, otherwise": good + good.replace(good.splitlines()[1], good.splitlines()[1].rsplit(",", 1)[0] + ",1").split("\n", 1)[1],
    }
    for message, text in cases.items():
        (tmp_path / "bad.csv").write_text(text)
        with pytest.raises(UserError, match=message):
            answers.read([tmp_path / "bad.csv"], key)
    twice = answers.read([tmp_path / "a.csv", tmp_path / "a.csv"], key)
    assert len(twice.ratings) == len(conditions(test_folder)), "the same file given twice counts once"
    with pytest.raises(UserError, match="not the key of a test"):
        answers.read_key(tmp_path)


def test_too_few_listeners_have_means_and_no_intervals(test_folder: Path, key: answers.Key, tmp_path: Path) -> None:
    found = analysis.analyse(answers.read([answer(test_folder, tmp_path / "a.csv", 3)], key))
    assert all(math.isnan(m.estimate.low) and not math.isnan(m.estimate.value) for m in found.means)
    assert all(math.isnan(d.p) for d in found.differences)
    assert any("no intervals and no tests" in line for line in told.notes(found))
    out = io.StringIO()
    told.to_json(found, [], out)
    assert set(QUALITY) <= {line["name"] for line in json.loads(out.getvalue())["lines"]}
