"""How fast the signal metrics are beside public packages on the same clips. The figures of an idle machine, all cores:

    METRIC_CLIPS=1000 pytest tests/perf/test_metric_speed.py -m perf -s

First metric by metric on one core, and many clips at once; then the reconstruction suite, as the command line runs it, against the same
columns by the packages (tests/perf/public_metrics.py), clip after clip in one process; then where the time of all cores goes.
METRIC_PROFILED names the tokenizers for that; one whose weights would be fetched gets random ones, which take as long. Printed, not
asserted: machines are noisy. What is asserted is that the values are equal.
"""

from __future__ import annotations

import csv
import json
import math
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
import soundfile
import soxr
import torch
from torch import Tensor

from bench import registry
from bench.data.manifests import open_data
from bench.engine.run import Options, run
from bench.metrics import METRICS
from bench.metrics.pair import Pairs, SignalMetric
from bench.records.hardware import cores
from bench.tasks import reconstruction
from tests.conftest import speech_like
from tests.perf.clock import CODEC, PESQ, Tokenizers, clocked_in
from tests.perf.contest import in_turns, ratio
from tests.perf.public_metrics import RIVALS, Rival, Values
from tests.perf.test_engine import run as run_command

pytestmark = pytest.mark.perf
CLIPS = int(os.environ.get("METRIC_CLIPS", "8"))
TURNS = int(os.environ.get("METRIC_TURNS", "5"))
PROFILED = os.environ.get("METRIC_PROFILED", "mulaw@8bit,mimi@mini,encodec@24khz-6kbps").split(",")
NOISE = "mulaw@8bit"  # keeps the waveform, so that all find the same delay, and is cheap, so that the metrics are what is timed
SECONDS, RATE = 5.0, 24_000
MANY = 64  # as many as a GPU scores at once
IDLE = "nothing: waiting, other programs"
AtRates = Mapping[int, tuple[Tensor, Tensor]]
"""ref [T] and est [T] of one clip, by rate."""
ALLOWED = {column: within for rival in RIVALS for column, within in rival.columns.items()}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for i in range(CLIPS):
        soundfile.write(folder / f"{i:04}.flac", speech_like(SECONDS, RATE, i).numpy(), RATE)
    return folder


def resampled(wav: Tensor, source: int, target: int) -> Tensor:
    """wav [T] as a user would resample it."""
    return torch.from_numpy(soxr.resample(wav.numpy(), source, target, quality="VHQ"))


def at_rates(ref: Tensor, est: Tensor, source: int, rate: int) -> AtRates:
    """The pair of a clip at every rate that a column needs, from its rates `source` and `rate`."""
    return {target: (resampled(ref, source, target), resampled(est, rate, target)) for target in {rival.rate for rival in RIVALS}}


def ours(rivals: Sequence[Rival], clips: Sequence[AtRates]) -> list[Values]:
    """The columns by our functions, in new Pairs each time: nothing may be known from the turn before."""
    values: list[Values] = []
    for clip in clips:
        known = {rate: Pairs([(ref, est)], rate) for rate, (ref, est) in clip.items()}
        rates = {column: rival.rate for rival in rivals for column in rival.columns}
        scorers = {column: METRICS[column].score for column in rates}
        values.append({name: s.batch(known[rates[name]])[0].value for name, s in scorers.items() if isinstance(s, SignalMetric)})
    return values


def theirs(rivals: Sequence[Rival], clips: Sequence[AtRates]) -> list[Values]:
    """The same by the packages."""
    return [{column: value for rival in rivals for column, value in rival.call(*clip[rival.rate], rival.rate).items()} for clip in clips]


def differences(a: Sequence[Values], b: Sequence[Values]) -> Values:
    """The largest of each column; a value that only one of both has counts as infinite."""

    def apart(x: float, y: float) -> float:
        return 0.0 if math.isnan(x) and math.isnan(y) else math.inf if math.isnan(x) or math.isnan(y) else abs(x - y)

    return {column: max(apart(x[column], y[column]) for x, y in zip(a, b, strict=True)) for column in a[0]}


def check(found: Values) -> str:
    """Asserts what must be equal; a line of all."""
    for column, difference in found.items():
        within = ALLOWED[column]
        assert within is None or difference <= within, f"{column} differs by {difference:.2g}"
    return ", ".join(
        f"{column} {difference:.1g}{' (defined otherwise)' if ALLOWED[column] is None else ''}" for column, difference in found.items()
    )


def test_each_metric_beside_its_package_on_one_core() -> None:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    wavs = [speech_like(SECONDS, RATE, seed) for seed in range(min(CLIPS, 8))]
    noisy = [0.8 * wav.roll(24) + 0.05 * wav.std() * torch.randn(len(wav), generator=generator) for wav in wavs]
    clips = [at_rates(ref, est, RATE, RATE) for ref, est in zip(wavs, noisy, strict=True)]
    print(f"\nCPU time of a clip of {SECONDS:g} s, {len(clips)} clips, {TURNS} turns; ratio: median [least, greatest] of the turns")
    contests = {f"{rival.package}: {', '.join(rival.columns)}": [rival] for rival in RIVALS}
    for name, rivals in (contests | {"all columns; ours share what they can": RIVALS}).items():
        equal = check(differences(ours(rivals, clips), theirs(rivals, clips)))
        calls = {"ours": partial(ours, rivals, clips), "theirs": partial(theirs, rivals, clips)}
        times = in_turns(calls, "cpu", TURNS, time.process_time)
        milliseconds = [1000 * statistics.median(times[side]) / len(clips) for side in calls]
        print(
            f"{name:66} ours {milliseconds[0]:6.2f} ms, theirs {milliseconds[1]:6.2f} ms, {ratio(times['theirs'], times['ours'])}",
            flush=True,
        )
        print(f"{'':6}max difference: {equal}" if len(rivals) == 1 else "", flush=True)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))])
@torch.inference_mode()
def test_many_clips_at_once_beside_one_by_one(device: str) -> None:
    """The columns that need no C code, signals on the device: what a GPU gains by a batch, and why a CPU is given one clip at a time."""
    torch.set_num_threads(1)
    scorers = {column: METRICS[column].score for rival in RIVALS for column in rival.columns}
    kernels = {name: s for name, s in scorers.items() if isinstance(s, SignalMetric) and not s.on_cpu}
    clips: list[AtRates] = []
    for seed in range(MANY):
        ref = speech_like(SECONDS - 1 + seed % 9 / 4, RATE, seed % 9)
        at_rates_here = at_rates(ref, 0.8 * ref.roll(24 + seed), RATE, RATE)
        clips.append({rate: (a.to(device), b.to(device)) for rate, (a, b) in at_rates_here.items()})

    def columns(at_once: int) -> list[float]:
        values: list[float] = []
        for start in range(0, MANY, at_once):
            group = clips[start : start + at_once]
            known = {rate: Pairs([clip[rate] for clip in group], rate) for rate in group[0]}
            values += [score.value for name, s in kernels.items() for score in s.batch(known[METRICS[name].rates["speech"]])]
        return values

    calls = {f"{size} at once": partial(columns, size) for size in (1, 8, MANY)}
    times = in_turns(calls, device, TURNS)
    print(f"\n{device}: {len(kernels)} columns of {MANY} clips of about {SECONDS:g} s, {TURNS} turns")
    for name, taken in times.items():
        print(
            f"{name:12} {1000 * statistics.median(taken) / MANY:7.2f} ms a clip, {ratio(times['1 at once'], taken)} as fast as one by one"
        )
    assert sum(columns(MANY)) == pytest.approx(sum(columns(1)), rel=1e-4)


def public_suite(tokenizer: str, data: Path) -> tuple[list[Values], float]:
    """The columns of every clip by the packages, in this process, one clip after the other: values, wall seconds."""
    torch.set_num_threads(cores())
    values: list[Values] = []
    start = time.perf_counter()
    codec = registry.load_tokenizer(tokenizer)
    for path in sorted(data.glob("*.flac")):
        ref, rate = torch.from_numpy(soundfile.read(path, dtype="float32")[0]), codec.spec.sample_rate or RATE
        given = resampled(ref, RATE, rate)
        with torch.inference_mode():
            est = codec.decode(codec.encode(given[None, None]))[0, 0, : len(given)].clone()
        values += theirs(RIVALS, [at_rates(ref, est, RATE, rate)])
    return values, time.perf_counter() - start


def rows_of(results: Path) -> list[Values]:
    """The rival columns of every clip of the only run."""
    (file,) = results.rglob("rows.csv")
    by_clip: dict[str, Values] = {}
    for row in csv.DictReader(file.open()):
        if row["metric"] in ALLOWED:
            by_clip.setdefault(row["clip"], {})[row["metric"]] = float(row["value"] or "nan")
    return [by_clip[clip] for clip in sorted(by_clip)]


def test_the_suite_beside_the_packages_in_one_process(data: Path, tmp_path: Path) -> None:
    values, packages = public_suite(NOISE, data)
    taken = run_command(NOISE, data, tmp_path)
    equal = check(differences(rows_of(tmp_path), values))
    each = f"packages in one process {packages:.1f} s, {1000 * packages / CLIPS:.0f} ms a clip"
    print(f"\n{NOISE}, {CLIPS} clips of {SECONDS:g} s: {each}; bench run on {cores()} cores, its start included, {taken:.1f} s:")
    print(f"{packages / taken:.2f} x (bar: 3). Max difference: {equal}")


@pytest.mark.parametrize("tokenizer", PROFILED)
def test_where_the_time_goes(tokenizer: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = tmp_path / "clocks"
    clocks.mkdir()
    tokenizers = Tokenizers(registry.load_tokenizer)
    monkeypatch.setattr(registry, "load_tokenizer", tokenizers)
    monkeypatch.setattr(reconstruction, "score", clocked_in(clocks))
    here, start = time.process_time(), time.perf_counter()
    variant = registry.variant(tokenizer)
    if any(file.url for file in variant.files):
        variant = registry.untrained(variant, seed=0)
    (done,) = run([variant], reconstruction.SUITE, open_data(str(data)), Options(tmp_path / "results"))
    available = (time.perf_counter() - start) * cores()
    assert done.fresh_clips == CLIPS
    mine = time.process_time() - here
    spent = defaultdict(float, {CODEC: tokenizers.seconds, "reading, sending, writing": mine - tokenizers.seconds})
    for file in clocks.iterdir():
        for name, seconds in json.loads(file.read_text(encoding="utf-8")).items():
            spent[name] += seconds
    spent[IDLE] = available - sum(spent.values())
    print(f"\n{tokenizer}, {CLIPS} clips of {SECONDS:g} s: {available / cores():.1f} s x {cores()} cores, in which")
    for name, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"{100 * seconds / available:6.1f} %  {1000 * seconds / CLIPS:7.2f} ms a clip  {name}")
    kernels = spent[PESQ] + spent[CODEC]
    shares = f"{100 * kernels / available:.1f} % (bar: 85), and of what ran {100 * kernels / (available - spent[IDLE]):.1f} %"
    print(f"In PESQ's C code and the codec: {shares}")
