"""Laws that every signal metric keeps, whatever it measures; speech-like sound stands for all three domains."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.api import DOMAINS, Domain, Metric, Score
from bench.metrics import METRICS
from tests.conftest import speech_like

SIGNAL = [metric for metric in METRICS.values() if metric.score is not None and not metric.raw]  # raw ones have the same functions
CASES: list[tuple[Metric, Domain]] = [
    (metric, domain) for metric in SIGNAL for domain in DOMAINS if domain in metric.rates and domain != "general"
]
BEST = dict(pesq_wb=4.644, pesq_nb=4.549, stoi=1, estoi=1, stoi_aligned=1, mel_dac=0, mel_l1=0, stft_dac=0, lsd=0, mfcc_l2=0, mcd=0) | dict(
    si_sdr=100, si_sdr_aligned=100, snr=100, f0_rmse=0, f0_corr=1, vuv_f1=1, delay_ms=0, gain_db=0
)
LOUDNESS_BLIND = {
    "pesq_wb",
    "pesq_nb",
    "stoi",
    "estoi",
    "stoi_aligned",
    "si_sdr",
    "si_sdr_aligned",
    "delay_ms",
    "f0_corr",
    "vuv_f1",
    "f0_rmse",
}
POLARITY_SEEN = {"snr"}
MEASURED = {"delay_ms", "gain_db"}  # neither rises nor falls with noise


def over(cases: list[tuple[Metric, Domain]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("metric", "domain"), cases, ids=[f"{metric.name}-{domain}" for metric, domain in cases])


EVERY = over(CASES)
QUALITY = over([(metric, domain) for metric, domain in CASES if metric.name not in MEASURED])


def score(metric: Metric, ref: torch.Tensor, est: torch.Tensor, rate: int) -> Score:
    assert metric.score is not None
    result = metric.score(ref, est, rate)
    assert math.isnan(result.value) == bool(result.note), "a note says why a value is NaN, and nothing else"
    assert not math.isinf(result.value) and result.weight == 1
    return result


def clip(rate: int, seconds: float = 2.5, seed: int = 1) -> torch.Tensor:
    return speech_like(seconds, rate, seed)


def noise(length: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(length, generator=torch.Generator().manual_seed(seed))


def worse(metric: Metric, value: float) -> float:
    """The value with its sign such that more is worse."""
    return -value if metric.better == "higher" else value


def test_the_columns_are_those_that_the_documentation_names():
    assert list(METRICS) == [
        *("pesq_wb", "pesq_nb", "stoi", "estoi", "stoi_aligned", "mel_dac", "mel_l1", "stft_dac", "si_sdr", "si_sdr_aligned", "snr"),
        *("stoi_raw", "estoi_raw", "si_sdr_raw", "snr_raw"),
        *("lsd", "mfcc_l2", "mcd", "f0_rmse", "f0_corr", "vuv_f1", "delay_ms", "gain_db", "pieces", "seam_db", "tail_loss_ms"),
        *("tokens_per_s", "kbps_nominal", "kbps_packed", "kbps_entropy"),
    ]
    for name, metric in METRICS.items():
        assert metric.name == name and metric.about and metric.tolerance > 0 and metric.rates
        assert (metric.score is None) == all(rate == 0 for rate in metric.rates.values())


@EVERY
def test_identity_has_the_best_score(metric: Metric, domain: Domain):
    rate = metric.rates[domain]
    ref = clip(rate)
    best = score(metric, ref, ref.clone(), rate).value
    assert best == pytest.approx(BEST[metric.name], abs=1e-3)
    other = score(metric, ref, ref + 0.1 * ref.std() * noise(len(ref)), rate).value
    if metric.name not in MEASURED:
        assert worse(metric, other) > worse(metric, best)


@QUALITY
def test_more_noise_is_never_better(metric: Metric, domain: Domain):
    rate = metric.rates[domain]
    ref = clip(rate, 3)
    values = [worse(metric, score(metric, ref, ref + level * ref.std() * noise(len(ref)), rate).value) for level in (0.02, 0.2, 1.0)]
    assert values == sorted(values) and values[0] < values[-1]


@QUALITY
def test_another_clip_is_worse_than_a_noisy_copy(metric: Metric, domain: Domain):
    rate = metric.rates[domain]
    ref, other = clip(rate, 3), clip(rate, 3, seed=2)
    copy = score(metric, ref, ref + 0.002 * ref.std() * noise(len(ref)), rate).value
    assert worse(metric, score(metric, ref, other, rate).value) > worse(metric, copy)


@EVERY
@pytest.mark.parametrize("gain", [0.25, -1.0])
def test_loudness_and_polarity_count_only_where_they_should(metric: Metric, domain: Domain, gain: float):
    rate = metric.rates[domain]
    ref = clip(rate)
    est = ref + 0.001 * ref.std() * noise(len(ref))
    plain, changed = score(metric, ref, est, rate).value, score(metric, ref, gain * est, rate).value
    blind = metric.name in LOUDNESS_BLIND or (gain == -1 and metric.name not in POLARITY_SEEN) or metric.name in ("mfcc_l2", "mcd")
    if blind:
        assert changed == pytest.approx(plain, abs=metric.tolerance)
    else:
        assert abs(changed - plain) > metric.tolerance


@pytest.mark.parametrize("milliseconds", [25, -10, 40])
@pytest.mark.parametrize("domain", ["speech", "music"])
def test_a_delay_is_reported_and_aligned_columns_recover(milliseconds: int, domain: Domain):
    def column(name: str, est_of) -> float:
        rate = METRICS[name].rates[domain]
        ref = clip(rate, 3, seed=3)
        return score(METRICS[name], ref, est_of(ref + 0.1 * ref.std() * noise(len(ref)), rate), rate).value

    def late(est: torch.Tensor, rate: int) -> torch.Tensor:
        return est.roll(round(milliseconds * rate / 1000))

    def in_time(est: torch.Tensor, rate: int) -> torch.Tensor:
        return est

    assert column("delay_ms", late) == pytest.approx(milliseconds, abs=0.02)
    for name in ("si_sdr", "stoi")[: 2 if domain == "speech" else 1]:
        truth = column(name, in_time)
        assert column(name, late) < truth - 10 * METRICS[name].tolerance
        assert column(f"{name}_aligned", late) == pytest.approx(truth, abs=0.02 if name == "stoi" else 0.3)


BAD = {
    "silent reference": lambda ref, rate: (0 * ref, ref),
    "both silent": lambda ref, rate: (0 * ref, 0 * ref),
    "one sample": lambda ref, rate: (ref[100:101] + 0.1, ref[100:101] + 0.1),
    "10 ms": lambda ref, rate: (ref[: rate // 100] + 0.1, ref[: rate // 100] + 0.1),
    "empty": lambda ref, rate: (ref[:0], ref[:0]),
    "NaN in the reference": lambda ref, rate: (ref.clone().index_fill_(0, torch.tensor([9]), math.nan), ref),
    "NaN in the estimate": lambda ref, rate: (ref, ref.clone().index_fill_(0, torch.tensor([9]), math.nan)),
    "infinity": lambda ref, rate: (ref, ref.clone().index_fill_(0, torch.tensor([9]), -math.inf)),
    "lengths differ": lambda ref, rate: (ref, ref[:-1]),
}


@EVERY
@pytest.mark.parametrize("case", BAD)
def test_a_clip_that_cannot_be_scored_is_nan_with_a_note(metric: Metric, domain: Domain, case: str):
    rate = metric.rates[domain]
    result = score(metric, *BAD[case](clip(rate, 1.5), rate), rate)
    assert math.isnan(result.value) and result.note


@EVERY
def test_a_silent_estimate_is_the_worst_or_undefined(metric: Metric, domain: Domain):
    rate = metric.rates[domain]
    ref = clip(rate)
    result = score(metric, ref, 0 * ref, rate)
    assert math.isnan(result.value) or worse(metric, result.value) > worse(metric, score(metric, ref, 0.5 * ref, rate).value)


@EVERY
def test_a_score_depends_on_nothing_but_its_pair(metric: Metric, domain: Domain):
    rate = metric.rates[domain]
    ref, est = clip(rate), clip(rate) + 0.02 * noise(len(clip(rate)))
    kept = ref.clone(), est.clone()
    first = score(metric, ref, est, rate)
    score(metric, clip(rate, 1.7, seed=5), clip(rate, 1.7, seed=6), rate)
    again = score(metric, ref.clone(), est.clone(), rate)
    assert repr(again) == repr(first)
    assert torch.equal(ref, kept[0]) and torch.equal(est, kept[1])


def _made(kind: str, length: int, seed: int, level: float) -> torch.Tensor:
    match kind:
        case "noise":
            wav = noise(length, seed)
        case "speech":
            wav = speech_like(1.5, 16_000, seed).repeat(2)[:length]
        case "tone":
            wav = torch.sin(torch.arange(length) * (0.01 + seed / 997))
        case "clicks":
            wav = torch.zeros(length).index_fill_(0, torch.arange(0, length, 1 + seed * 37), 1.0)
        case "constant":
            wav = torch.ones(length)
        case _:
            wav = torch.full((length,), float(kind))
    return level * wav


KINDS = st.sampled_from(["noise", "speech", "tone", "clicks", "constant", "nan", "inf"])
CHEAP = [metric for metric in SIGNAL if not metric.name.startswith("pesq")]  # its C code may die of odd sound: the engine's business


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    kinds=st.tuples(KINDS, KINDS),
    length=st.one_of(st.integers(0, 40), st.integers(41, 3_000), st.integers(3_001, 24_000)),
    seeds=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    levels=st.tuples(*[st.sampled_from([1e-20, 1e-5, 0.01, 0.5, 1e4, 1e6, 1e30])] * 2),
)
def test_no_sound_makes_a_metric_raise_or_give_infinity(kinds, length: int, seeds, levels):
    ref, est = (_made(kind, length, seed, level) for kind, seed, level in zip(kinds, seeds, levels, strict=True))
    for metric in CHEAP:
        score(metric, ref, est, metric.rates["speech"])
