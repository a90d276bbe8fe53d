"""When `make bench` passes and when it fails."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.perf.ratios import ELSEWHERE, SLOWER, Stored, main, read, verdict

THEN = Stored("Abacus 3000", 1, {"encode": 2.0, "decode": 0.5})


def test_the_same_speed_passes_and_a_slower_one_fails_by_name() -> None:
    assert verdict(THEN, THEN) == (["PASS: 2 compared, 0 slower than 1.4 x, 0 gone"], True)
    lines, passed = verdict(replace(THEN, ratios={"encode": 2.0 * SLOWER * 1.06, "decode": 0.2}), THEN)
    assert not passed and lines[0].startswith("faster  decode: 0.40 x") and lines[1].startswith("SLOWER  encode: 1.48 x")
    assert lines[-1].startswith("FAIL: 2 compared, 1 slower")


def test_what_is_too_short_to_be_timed_does_not_fail() -> None:
    short = replace(THEN, ratios={"encode": 0.01})
    assert verdict(replace(THEN, ratios={"encode": 0.05}), short)[1]


def test_another_processor_has_more_room_and_is_named() -> None:
    lines, passed = verdict(replace(THEN, processor="Difference Engine", ratios={"encode": 2.0 * SLOWER * 1.1, "decode": 0.5}), THEN)
    assert passed and "Difference Engine" in lines[0]
    assert not verdict(replace(THEN, processor="Difference Engine", ratios={"encode": 2.1 * ELSEWHERE, "decode": 0.5}), THEN)[1]


def test_a_benchmark_that_is_gone_fails_and_a_new_one_does_not() -> None:
    assert not verdict(replace(THEN, ratios={"encode": 2.0}), THEN)[1]
    assert verdict(replace(THEN, ratios={**THEN.ratios, "more": 1.0}), THEN)[1]
    assert not verdict(THEN, replace(THEN, ratios={}))[1]  # nothing was compared


def test_what_pytest_benchmark_wrote_is_stored_and_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    latest, stored = tmp_path / "latest.json", tmp_path / "stored.json"
    benchmarks = [{"name": name, "extra_info": {"ratio": ratio, "threads": 1}} for name, ratio in THEN.ratios.items()]
    latest.write_text(json.dumps({"machine_info": {"cpu": {"brand_raw": "Abacus 3000"}}, "benchmarks": benchmarks}))
    assert main(str(latest), str(stored), "--store") == 0 and read(stored) == THEN == read(latest)
    assert main(str(latest), str(stored)) == 0
    benchmarks[0]["extra_info"]["ratio"] = 5.0
    latest.write_text(json.dumps({"machine_info": {"cpu": {"brand_raw": "Abacus 3000"}}, "benchmarks": benchmarks}))
    assert main(str(latest), str(stored)) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("FAIL")
