"""A GPU's way of scoring a suite, walked on the CPU: many clips at once, and what is left of each for the worker processes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench import registry
from bench.api import Audio, Clip, Domain, Job, Reconstruction, Score, Spec
from bench.data.manifests import open_data
from bench.engine import scoring
from bench.engine.run import Options, RunSession, run
from bench.engine.scoring import Conditions, Pair, conditions_on_gpu, on_gpu, pair_of, score
from bench.metrics import METRICS
from bench.tasks import reconstruction, robustness
from tests.conftest import speech_like

SPEECH: tuple[str, ...] = tuple(m.name for m in METRICS.values() if m.score is not None and "speech" in m.rates)
MUSIC: tuple[str, ...] = tuple(m.name for m in METRICS.values() if m.score is not None and "music" in m.rates)
ON_CPU = ("pesq_wb", "pesq_nb", "mcd")


def pair(seconds: float, seed: int, domain: Domain = "speech", channels: int = 1, rate: int = 22_050) -> Pair:
    ref = torch.stack([speech_like(seconds, rate, seed + 10 * channel) for channel in range(channels)])
    return Pair(
        Audio(ref, rate), Audio(0.7 * ref + 0.01 * torch.randn(ref.shape, generator=torch.Generator().manual_seed(seed)), rate), domain
    )


def jobs() -> Iterator[Job[int, Pair]]:
    for n, seconds in enumerate((1.3, 2.1, 1.7)):
        yield Job(n, pair(seconds, n), SPEECH)
    yield Job(3, pair(1.2, 3, "music", channels=2), MUSIC)
    yield Job(4, pair(1.4, 4), ())  # what could not be coded
    yield Job(5, pair(1.5, 5), SPEECH)


def whole(job: Job[int, Pair], scores: dict[str, Score]) -> dict[str, Score]:
    """The scores of a job, those of the worker added."""
    return scores | dict(zip(job.steps, score(job.payload, job.steps), strict=True))


def test_scores_of_many_clips_at_once_are_those_of_the_workers():
    found = list(on_gpu("cpu", jobs()))
    assert [job.key for job, _ in found] == list(range(6))
    for (left, scores), job in zip(found, jobs(), strict=True):
        assert left.steps == (ON_CPU if job.payload.domain == "speech" and job.steps else ())
        assert left.payload.ref.wav.shape[-1] == 0 and set(left.payload.resampled) == ({8_000, 16_000} if left.steps else set())
        expected = dict(zip(job.steps, score(job.payload, job.steps), strict=True))
        for name, value in whole(left, scores).items():
            assert value.value == pytest.approx(expected[name].value, rel=1e-5, abs=METRICS[name].tolerance / 1000), name
        assert set(whole(left, scores)) == set(expected)


def test_each_signal_is_resampled_once_a_rate(monkeypatch: pytest.MonkeyPatch):
    rates: list[int] = []
    original = scoring.resample
    monkeypatch.setattr(scoring, "resample", lambda wav, source, target: (rates.append(target), original(wav, source, target))[1])
    ((left, scores),) = on_gpu("cpu", iter([Job(0, pair(1.3, 0), SPEECH)]))
    whole(left, scores)
    assert sorted(rates) == sorted([8_000, 16_000, 24_000] * 2)


def test_a_batch_holds_so_many_clips_and_so_much_audio(monkeypatch: pytest.MonkeyPatch):
    sizes: list[int] = []
    original = scoring._together
    monkeypatch.setattr(scoring, "_together", lambda device, pairs, steps: (sizes.append(len(pairs)), original(device, pairs, steps))[1])
    monkeypatch.setattr(scoring, "MOST", 2)
    monkeypatch.setattr(scoring, "MOST_SECONDS", 3.0)
    lengths = (1.1, 1.1, 1.1, 1.7, 5.0)  # the third and the fourth are 2.8 s, but 3.4 s where both are as long as the longer one
    assert len(list(on_gpu("cpu", (Job(n, pair(seconds, n), ("snr",)) for n, seconds in enumerate(lengths))))) == 5
    assert sizes == [2, 1, 1, 1]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("no room"), RuntimeError("cuFFT error: CUFFT_INTERNAL_ERROR")])
@pytest.mark.parametrize("room", [2, 1, 0])
def test_what_finds_no_room_is_halved_and_at_last_left_to_the_workers(room: int, error: RuntimeError, monkeypatch: pytest.MonkeyPatch):
    original = scoring._together

    def crowded(device: str, pairs: Sequence[Pair], steps: Sequence[str]) -> list[dict[str, Score]]:
        if len(pairs) > room:
            raise error
        return original(device, pairs, steps)

    monkeypatch.setattr(scoring, "_together", crowded)
    found = list(on_gpu("cpu", (Job(n, pair(1.2, n), ("snr", "pesq_wb")) for n in range(3))))
    assert [job.steps for job, _ in found] == [("pesq_wb",) if room else ("snr", "pesq_wb")] * 3
    assert all(set(whole(job, scores)) == {"snr", "pesq_wb"} for job, scores in found)


def test_a_run_whose_metrics_go_to_the_device_has_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data = open_data("mini")
    data = replace(data, clips=(*data.clips[:3], *data.clips[-2:]))
    (plain,) = run([registry.variant("lowpass")], reconstruction.SUITE, data, Options(tmp_path / "cpu"))
    monkeypatch.setattr(RunSession, "on_gpu", True)
    (there,) = run([registry.variant("lowpass")], reconstruction.SUITE, data, Options(tmp_path / "gpu"))
    assert len(there.rows) == len(plain.rows) > 50
    values = {(row.clip, row.metric): row for row in there.rows}
    for row in plain.rows:
        found = values[row.clip, row.metric]
        assert found.value == pytest.approx(row.value, rel=1e-5, abs=1e-5, nan_ok=True) and found.note == row.note, row


def several() -> Iterator[Job[int, Conditions]]:
    """Clips under conditions, as the suite robustness has them; the second could not be coded."""
    for n in (0, 1, 2, 3):
        made: dict[str, tuple[str, ...]] = (
            {} if n == 1 else {"clean": ("pesq_wb", "stoi", "mel_dac"), "round_2": ("pesq_wb",), "noise": ("stoi",)}
        )
        pairs: Conditions = {condition: pair(1.2 + n / 10, 7 * n + i) for i, condition in enumerate(made)}
        yield Job(n, pairs, tuple(f"{condition} {name}" for condition, names in made.items() for name in names))


def test_conditions_of_several_clips_share_a_batch_and_come_back_clip_by_clip(monkeypatch: pytest.MonkeyPatch):
    sizes: list[int] = []
    original = scoring._together
    monkeypatch.setattr(scoring, "_together", lambda device, pairs, steps: (sizes.append(len(pairs)), original(device, pairs, steps))[1])
    found = list(conditions_on_gpu("cpu", several()))
    assert sorted(sizes) == [3, 3, 3], "a batch for each set of metrics"
    assert sorted(job.key for job, _ in found) == [0, 1, 2, 3]
    jobs = {job.key: job for job in several()}
    for left, scores in found:
        job = jobs[left.key]
        assert set(left.steps) == ({"clean pesq_wb", "round_2 pesq_wb"} if job.steps else set())
        assert set(left.payload) == {step.split(" ")[0] for step in left.steps}
        expected = dict(zip(job.steps, robustness.score(job.payload, job.steps), strict=True))
        there = scores | dict(zip(left.steps, robustness.score(left.payload, left.steps), strict=True))
        assert set(there) == set(expected)
        for step, value in there.items():
            assert value.value == pytest.approx(expected[step].value, rel=1e-5, abs=1e-5), step


def test_a_batch_of_conditions_waits_for_no_more_pairs_than_fill_it(monkeypatch: pytest.MonkeyPatch):
    sizes: list[int] = []
    original = scoring._together
    monkeypatch.setattr(scoring, "_together", lambda device, pairs, steps: (sizes.append(len(pairs)), original(device, pairs, steps))[1])
    monkeypatch.setattr(scoring, "MOST", 2)  # one clip has three
    assert len(list(conditions_on_gpu("cpu", several()))) == 4 and sizes == [1] * 9


def test_robustness_on_the_device_has_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data = open_data("mini", 2)
    (plain,) = run([registry.variant("mulaw")], robustness.SUITE, data, Options(tmp_path / "cpu", workers=1))
    monkeypatch.setattr(RunSession, "on_gpu", True)
    (there,) = run([registry.variant("mulaw")], robustness.SUITE, data, Options(tmp_path / "gpu", workers=1))
    values = {(row.clip, row.metric): row for row in there.rows if row.metric != "seconds"}
    assert len(values) == len(plain.rows) - len(data.clips) and any("_drop_" in metric for _, metric in values)
    for row in plain.rows:
        if row.metric != "seconds":
            found = values[row.clip, row.metric]
            assert found.value == pytest.approx(row.value, rel=1e-5, abs=1e-5, nan_ok=True) and found.note == row.note, row


def late(wav: torch.Tensor, samples: int) -> torch.Tensor:
    return torch.nn.functional.pad(wav, (samples, 0))[..., : wav.shape[-1]]


def test_a_stated_delay_is_taken_out_of_every_metric_but_the_raw_ones() -> None:
    ref = speech_like(2.0, 8_000)[None]
    est = late(ref + 0.02 * torch.randn(ref.shape, generator=torch.Generator().manual_seed(0)), 160)
    steps: tuple[str, ...] = ("stoi", "stoi_raw", "estoi", "estoi_raw", "si_sdr", "si_sdr_raw", "snr", "snr_raw", "mel_l1", "delay_ms")
    found: dict[str, Score] = dict(zip(steps, score(Pair(Audio(ref, 8_000), Audio(est, 8_000), "speech", 0.02), steps), strict=True))
    as_it_came: dict[str, Score] = dict(zip(steps, score(Pair(Audio(ref, 8_000), Audio(est, 8_000), "speech"), steps), strict=True))
    for name in ("stoi", "estoi", "si_sdr", "snr"):
        assert found[f"{name}_raw"] == as_it_came[name] and found[name].value > found[f"{name}_raw"].value + METRICS[name].tolerance
    assert found["si_sdr"].value > 5 > 0 > found["si_sdr_raw"].value and found["mel_l1"].value < as_it_came["mel_l1"].value
    assert abs(found["delay_ms"].value) < 1 < 19 < as_it_came["delay_ms"].value


def test_a_delay_is_taken_out_where_a_gpu_scores_too() -> None:
    delayed = [Job(0, replace(pair(1.5, 0), delay=0.02), ("stoi", "stoi_raw", "pesq_wb"))]
    ((left, scores),) = on_gpu("cpu", iter(delayed))
    expected = dict(zip(delayed[0].steps, score(delayed[0].payload, delayed[0].steps), strict=True))
    for name, value in whole(left, scores).items():
        assert value.value == pytest.approx(expected[name].value, abs=1e-4), name


def test_a_delay_longer_than_the_clip_is_a_note() -> None:
    wav = speech_like(0.4, 16_000)[None]
    (found,) = score(Pair(Audio(wav, 16_000), Audio(wav, 16_000), "speech", 0.5), ["snr"])
    assert math.isnan(found.value) and found.note == "empty clip"


def test_the_floors_other_clip_is_repeated_to_the_length_of_the_original() -> None:
    ref, other = torch.ones(1, 48_000), torch.arange(7.0)[None]
    item = Reconstruction(Clip("a", Path("a"), ""), Audio(ref, 48_000), Audio(other, 24_000), torch.zeros(1, 1), 7)
    floor = pair_of(item, Spec("s", "v", None, (), shuffled=True)).est.wav
    assert floor.shape[-1] == 24_000 and torch.equal(floor[0, :21], torch.arange(7.0).repeat(3))
    assert pair_of(item, Spec("c", "v", None, ())).est.wav.shape[-1] == 7, "what a codec leaves out is its own fault"


def test_raw_columns_are_of_codecs_that_state_a_delay_alone(tmp_path: Path) -> None:
    data, mulaw = open_data("mini", 2), registry.variant("mulaw@8bit")
    asked = [replace(mulaw, spec=replace(mulaw.spec, variant=f"late{delay}", delay=delay)) for delay in (0, 16)]
    plain, delayed = (done.rows for done in run(asked, reconstruction.SUITE, data, Options(tmp_path, workers=1)))
    raw = {"stoi_raw", "estoi_raw", "si_sdr_raw", "snr_raw"}
    assert not raw & {row.metric for row in plain} and raw <= {row.metric for row in delayed}
