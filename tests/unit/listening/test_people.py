"""Scores against people: known correlations are found, intervals hold them, and tests of others are fetched as their manifests say."""

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest

from bench.api import UserError
from bench.cli import main
from bench.listening import people, rated
from bench.records.reader import Kept
from tests.runs import made

CODECS = ("a", "b", "c", "d")


def table(clips: int, noise: float, seed: int = 0) -> tuple[list[Kept], dict[tuple[str, str], float]]:
    """Runs of four codecs, and ratings = quality + noise, both of variance 1 where noise is 1; `distance` is quality turned round."""
    rng = np.random.default_rng(seed)
    quality = rng.standard_normal((len(CODECS), clips))
    rating = quality + noise * rng.standard_normal(quality.shape)
    runs = []
    for name, row in zip(CODECS, quality, strict=True):
        scores = {
            "quality": {f"{i}.wav": float(x) for i, x in enumerate(row)},
            "distance": {f"{i}.wav": float(9 - x) for i, x in enumerate(row)},
        }
        runs.append(made(f"{name}@audio", {"speech": scores}))
    return runs, {(name, str(i)): float(rating[k, i]) for k, name in enumerate(CODECS) for i in range(clips)}


def test_a_known_correlation_is_found_and_within_its_interval() -> None:
    truth = 1 / math.sqrt(2)  # of x and x + noise of the same variance
    quality = next(one for one in people.agreements(*table(100, 1.0)) if one.metric.name == "quality")
    assert quality.points == 400 and quality.codecs == 4
    assert quality.pearson.value == pytest.approx(truth, abs=0.06)
    assert quality.pearson.low < truth < quality.pearson.high and quality.pearson.high - quality.pearson.low < 0.15
    assert quality.spearman.value == pytest.approx(6 / math.pi * math.asin(truth / 2), abs=0.07)  # of two normal variables


def test_perfect_agreement_is_one_and_a_distance_has_the_opposite_sign() -> None:
    found = {one.metric.name: one for one in people.agreements(*table(12, 0.0))}
    assert found["quality"].pearson.value == pytest.approx(1) and found["quality"].spearman.low == pytest.approx(1)
    assert found["distance"].pearson.value == pytest.approx(-1) and found["quality"].means == pytest.approx((1.0, 1.0))


def test_scores_that_have_nothing_to_do_with_people_have_an_interval_around_zero() -> None:
    runs, ratings = table(30, 1.0)
    rng = np.random.default_rng(7)
    shuffled = dict(zip(ratings, rng.permutation(list(ratings.values())), strict=True))
    found = people.agreements(runs, shuffled)
    assert found and all(one.pearson.low < 0 < one.pearson.high for one in found)


def test_few_clips_have_no_interval_and_too_few_points_no_line() -> None:
    (one, *_) = people.agreements(*table(2, 0.1))
    assert math.isnan(one.pearson.low) and "[" not in people.grids([one])[0][2][0][2]
    runs, ratings = table(1, 0.1)
    assert people.agreements(runs, ratings) == []


def test_ratings_of_several_listeners_are_averaged_and_a_bad_table_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("tokenizer,clip,listener,rating\na,0,x,40\na,0,y,60\n")
    assert rated.ratings(path) == {("a", "0"): 50.0}
    path.write_text("tokenizer,clip,rating\na,0,good\n")
    with pytest.raises(UserError, match=r"ratings.csv:2: 'good' is no rating"):
        rated.ratings(path)
    path.write_text("tokenizer,clip\na,0\n")
    with pytest.raises(UserError, match="no column rating"):
        rated.ratings(path)


@pytest.mark.parametrize("name", rated.names())
def test_a_test_of_others_states_licence_commit_and_digest_of_every_file(name: str) -> None:
    test = rated.test_of(name)
    assert test.licence and test.about and len(test.tokenizers) >= 7
    originals = {line["clip"] for line in test.files if not line["tokenizer"]}
    for line in test.files:
        assert line["clip"] in originals and len(line["sha256"]) == 64 and len(line["source"].split("/")[5]) == 40
        assert bool(line["tokenizer"]) == bool(line.get("ratings"))


def test_fetching_writes_folders_that_are_scored_and_the_ratings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path / "cache"))
    files = []
    for tokenizer, extra in (("", {"speaker": "p1"}), ("lyra", {"ratings": [30, 50]})):
        content = f"audio of {tokenizer}".encode()
        place = tmp_path / "cache" / "listening" / "toy" / (tokenizer or "ref") / "s1.wav"
        place.parent.mkdir(parents=True)
        place.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        files.append({"tokenizer": tokenizer, "clip": "s1", "suffix": ".wav", "source": "https://x.example/", "sha256": sha256, **extra})
    out = tmp_path / "out"
    assert list(rated.fetch(rated.Rated("toy", "", "", files), out))[-1].endswith("2 of 2 files")
    assert (out / "lyra" / "s1.wav").read_bytes() == b"audio of lyra" and rated.ratings(out / "ratings.csv") == {("lyra", "s1"): 40.0}
    assert (out / "ref" / "manifest.jsonl").read_text() == '{"path": "s1.wav", "speaker": "p1"}\n'
    (tmp_path / "cache" / "listening" / "toy" / "lyra" / "s1.wav").write_bytes(b"something else")
    with pytest.raises(UserError, match="sha256"):
        list(rated.fetch(rated.Rated("toy", "", "", files), out))


def test_correlations_are_printed_as_tables_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["listening", "correlate", "ratings.csv", "--format", "csv"]) == 2
    assert "correlate prints no csv: --format table or markdown" in capsys.readouterr().err
