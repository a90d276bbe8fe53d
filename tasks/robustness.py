"""How codes and audio change when the input is re-encoded, shifted, cut out, scaled, noisy, talked over, band-limited or clipped.

Each clip (its first 10 s) is encoded some 25 times and decoded some 12 times, at the tokenizer's rate.

`code_consistency_*`: share of the clip's codes, over all codebooks and frames, that stay as they are when the input is changed. Frames
are compared one by one; a shift by whole frames is undone first; side codes, which belong to no frame, are left out.
`unit_edits_*`: the same comparison as edits. The codes of a codebook are collapsed, equal neighbours to one, and the least insertions,
deletions and substitutions between the two sequences divided by the length of the clip's own; the mean over codebooks (StableToken,
arxiv.org/abs/2509.22220). Units that last a little longer, or come a little later, cost nothing or little there.
`*_drop_*`: how much worse the codec does with the changed input than with the clip: PESQ and STOI drop by so much, mel_dac rises. The
reference of a changed input's reconstruction is that very input, so what the change itself costs is not charged to the codec.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bench.api import POSITIVE, SHARE, Audio, Clip, Domain, Job, Metric, Row, Score, Spec, Suite
from bench.data.audio import BadAudio, read_clip, resample, to_channels
from bench.data.manifests import partners
from bench.engine.perturbations import louder, narrow, noisy, overlapped, overloaded, within
from bench.engine.scoring import Conditions, Pair, conditions_on_gpu
from bench.engine.scoring import score as scores_of_pair
from bench.metrics import METRICS, NO_SIGNAL
from bench.tokens.codes import agreement
from bench.tokens.units import unit_edits

if TYPE_CHECKING:
    from bench.api import Code, Coded, Given, Session

LONGEST = 10.0  # s of a clip
SHIFT = 0.002  # s
PADDING = 0.3  # s of zeros
ROUNDS = (2, 3, 4, 5)
VARYING = "variable-rate codes have no frames to compare"
SAMPLES = "codes are samples or come as fast: their edits mean nothing"
FASTEST = 400.0  # codes per second of a codebook
ALONE = "no other clip of the domain to talk over this one"
VOICES = {"overlap_10db": 10.0, "overlap_0db": 0.0}  # dB by which a second voice is softer
MUTE = "encode-only tokenizer"


@dataclass(frozen=True)
class Condition:
    """A change of the input wav [B, C, T], sample rate in Hz, seed -> [B, C, T]; `level`, in dB, is undone before scoring."""

    change: Callable[[Tensor, int, int], Tensor]
    level: float = 0.0
    band: int = 0  # Hz; not for a tokenizer that has nothing above it


CONDITIONS: Mapping[str, Condition] = {
    **{f"gain_{db}db": Condition(lambda wav, rate, seed, db=db: louder(wav, db), level=db) for db in (-20, -10, 6)},
    **{f"noise_{snr}db": Condition(lambda wav, rate, seed, snr=snr: noisy(wav, snr, seed)) for snr in (20, 10, 0)},
    **{f"band_{khz}khz": Condition(lambda wav, rate, seed, b=1000 * khz: narrow(wav, rate, b), band=1000 * khz) for khz in (8, 4)},
    "clipped": Condition(lambda wav, rate, seed: overloaded(wav, 12)),
}
SCORED: Mapping[str, tuple[str, ...]] = {  # which score is the most telling of what
    "pesq_wb": tuple(f"round_{n}" for n in ROUNDS),
    "stoi": ("noise_20db", "noise_10db", "noise_0db", *VOICES),
    "mel_dac": ("round_5", "gain_-20db", "noise_10db", "band_4khz", "clipped"),
}


@dataclass(frozen=True)
class Tried:
    """What came out of a clip's trial: the scores known so far, and by condition the pairs that the others are made of."""

    scores: dict[str, Score]
    pairs: dict[str, Pair]
    failure: str = ""  # why the clip itself could not be coded


class Examination:
    """One clip in the hands of a tokenizer's thread."""

    def __init__(self, spec: Spec, seed: int, code: Code, given: Given, other: Clip | None = None):
        self.other = other
        self.domain: Domain = given.clip.domain
        self.spec, self.rate, self.code = spec, given.rate, code
        self.output_rate = spec.output_rate or given.rate
        self.seed = int.from_bytes(hashlib.sha256(f"{seed} {given.clip.id}".encode()).digest()[:4])
        self.wav = given.wav[None, :, : int(LONGEST * given.rate)]
        self.clean = code(self.wav, spec.decodes)
        self.scores: dict[str, Score] = {}
        self.pairs: dict[str, Pair] = {}

    def run(self) -> Tried:
        """Everything, the repetition last: by then the tokenizer has met other audio."""
        if self.clean.failure:
            return Tried({}, {}, self.clean.failure)
        if self.spec.decodes:
            self._pair("clean", self.wav, self.clean.est)
            self._rounds()
        for name, condition in CONDITIONS.items():
            self._changed(name, condition)
        self._talked_over()
        self._shifted()
        self._cut_out()
        self._silent()
        padded = torch.nn.functional.pad(self.wav, (0, round(PADDING * self.rate)))
        self._consistency("padded", self.code(padded, False), frames=int(self.wav.shape[-1] / self._hop + 1e-6))
        if self.spec.durations:
            self._note("batch", VARYING)
        else:
            self._consistency("batch", self.code(torch.cat([self.wav, self.wav / 4, self.wav.flip(-1)]), False))
        self._consistency("repeat", self.code(self.wav, False))
        return Tried(self.scores, self.pairs)

    @property
    def _hop(self) -> float:
        """Samples a frame."""
        stated = self.rate / self.spec.frame_rate
        return stated if math.isfinite(stated) else self.wav.shape[-1] / max(1, self.clean.codes.shape[-1])

    @property
    def _varies(self) -> bool:
        """Whether frames of two inputs of one length need not be of the same time. (Without a rate of its own, a code is a sample.)"""
        return math.isnan(self.spec.frame_rate) and self.spec.sample_rate is not None

    def _changed(self, name: str, condition: Condition) -> None:
        if condition.band and 2 * condition.band >= self.rate:
            note = f"at {self.rate} Hz sample rate there is no band above {condition.band} Hz"
            return self._note(name, note)
        self._compare(name, condition.change(self.wav, self.rate, self.seed), condition.level)

    def _compare(self, name: str, changed: Tensor, level: float = 0.0) -> None:
        scored = self.spec.decodes and any(name in SCORED[metric] and self.domain in METRICS[metric].rates for metric in SCORED)
        coded = self.code(changed, scored)
        self._consistency(name, coded)
        if scored and not coded.failure:
            undone = 10 ** (-level / 20)
            self._pair(name, changed * undone, coded.est * undone)

    def _rounds(self) -> None:
        coded = self.clean
        for n in ROUNDS:
            coded = self.code(within(resample(coded.est, self.output_rate, self.rate)), True, n)  # a decoder that draws noise draws anew
            self._consistency(f"round_{n}", coded)
            if coded.failure:
                for later in range(n + 1, ROUNDS[-1] + 1):
                    self._note(f"round_{later}", coded.failure)
                return
            self._pair(f"round_{n}", self.wav, coded.est, n)

    def _talked_over(self) -> None:
        """The clip with another's audio added, begun again where that is shorter."""
        try:
            other = read_clip(self.other) if self.other else None
        except BadAudio as error:
            other, why = None, str(error)
        else:
            why = ALONE
        for name, softer in VOICES.items():
            if other is None:
                self._note(name, why)
            else:
                voice = resample(to_channels(other.wav, self.wav.shape[1]), other.sample_rate, self.rate)
                self._compare(name, overlapped(self.wav, voice[None], softer))

    def _cut_out(self) -> None:
        """The middle third of the frames, alone: other context, the same audio."""
        unit = max(1, round(self.spec.block / self._hop))
        frames = self.clean.codes.shape[-1] // unit
        start, stop = frames // 3 * unit, frames * 2 // 3 * unit
        if self._varies or stop - start < 1:
            return self._note("slice", VARYING if self._varies else "the clip is too short")
        part = self.wav[..., round(start * self._hop) : round(stop * self._hop)]
        self._consistency("slice", self.code(part, False), skip=start, frames=stop - start)

    def _shifted(self) -> None:
        """The clip without its first 2 ms; where that is longer than a frame, without as many whole frames as fit into them."""
        skip = int(SHIFT * self.rate / self._hop)
        samples = round(skip * self._hop) if skip else round(SHIFT * self.rate)
        if samples >= self.wav.shape[-1]:
            return self._note("shift_2ms", "the clip is too short")
        self._consistency("shift_2ms", self.code(self.wav[..., samples:], False), skip=skip)

    def _silent(self) -> None:
        coded = self.code(torch.zeros_like(self.wav), False)
        if coded.failure or self._varies:
            self.scores["silence_codes"] = Score(math.nan, note=coded.failure or VARYING)
        else:
            different = [len(codes.unique()) for codes in coded.codes[0]]
            self.scores["silence_codes"] = Score(sum(different) / len(different))

    def _consistency(self, name: str, coded: Coded, skip: int = 0, frames: int | None = None) -> None:
        """Compares with the clip's own codes without their first `skip` frames: all frames that both have, `frames` at most."""
        if coded.failure or self._varies:
            return self._note(name, coded.failure or VARYING)
        before, after = self.clean.codes[0, :, skip:], coded.codes[0]
        frames = min(before.shape[-1], after.shape[-1], after.shape[-1] if frames is None else frames)
        if frames < 1:
            return self._note(name, "the clip is too short")
        before, after = before[:, :frames], after[:, :frames]
        self.scores[f"code_consistency_{name}"] = Score(agreement(before, after))
        edits = Score(math.nan, note=SAMPLES) if self.spec.frame_rate > FASTEST else Score(unit_edits(before, after))
        self.scores[f"unit_edits_{name}"] = edits

    def _note(self, name: str, why: str) -> None:
        self.scores |= {f"{score}_{name}": Score(math.nan, note=why) for score in ("code_consistency", "unit_edits")}
        self.scores |= {f"{metric}_drop_{name}": Score(math.nan, note=why) for metric in SCORED if name in SCORED[metric]}

    def _pair(self, name: str, ref: Tensor, est: Tensor, rounds: int = 1) -> None:
        delay = rounds * self.spec.delay / self.output_rate  # every round adds the codec's own
        self.pairs[name] = Pair(Audio(ref[0].clone(), self.rate), Audio(est[0].clone(), self.output_rate), self.domain, delay)


def examine(spec: Spec, seed: int, code: Code, given: Given, others: Mapping[str, Clip] = MappingProxyType({})) -> Tried:
    """A clip under every condition; `others`: by clip, whose voice is the second one."""
    return Examination(spec, seed, code, given, others.get(given.clip.id)).run()


def score(pairs: Conditions, steps: Sequence[str]) -> Iterator[Score]:
    """One Score for each step, `condition metric`."""
    for condition, group in groupby((step.split(" ") for step in steps), key=lambda step: step[0]):
        yield from scores_of_pair(pairs[condition], [metric for _, metric in group])


@dataclass(frozen=True)
class Facts:
    """What is known of a clip in this process, while its audio is scored in another."""

    clip: Clip
    seconds: float
    columns: Mapping[str, Score]
    failure: str
    steps: tuple[str, ...]
    scores: Mapping[str, Score]  # by step: those that a GPU gave


def run(session: Session) -> Iterator[list[Row]]:
    """Rows of one clip at a time."""
    jobs = _jobs(session)
    for facts, scores in session.scores(score, _on_gpu(session.device, jobs) if session.on_gpu else jobs):
        found = {**facts.columns, **_drops({**facts.scores, **dict(zip(facts.steps, scores, strict=True))})}
        why = Score(math.nan, note=facts.failure or MUTE)
        rows = {metric.name: found.get(metric.name, why) for metric in session.expected(facts.clip.domain)}
        yield session.clip_rows(facts.clip, rows, facts.seconds)


def _jobs(session: Session) -> Iterator[Job[Facts, Conditions]]:
    asked = partial(examine, session.spec, session.seed, others=partners(session.data.clips))
    for trial in session.trials(asked, session.todo):
        tried = trial.result or Tried({}, {}, trial.failure)
        steps = _steps(tried, trial.clip.domain)
        yield Job(Facts(trial.clip, trial.seconds, tried.scores, tried.failure, steps, {}), tried.pairs, steps)


def _on_gpu(device: str, jobs: Iterator[Job[Facts, Conditions]]) -> Iterator[Job[Facts, Conditions]]:
    """The same jobs with the scores that a GPU can give; what is left of each is for a worker process."""
    for job, scores in conditions_on_gpu(device, jobs):
        yield replace(job, key=replace(job.key, steps=job.steps, scores=scores))


def _steps(tried: Tried, domain: Domain) -> tuple[str, ...]:
    """What is to be scored of a clip, a condition after the other."""
    heard = {metric: ("clean", *where) for metric, where in SCORED.items() if domain in METRICS[metric].rates}
    return tuple(f"{condition} {metric}" for condition in tried.pairs for metric in heard if condition in heard[metric])


def _drops(scores: Mapping[str, Score]) -> dict[str, Score]:
    """`condition metric` -> column: how much worse than the clean clip's."""
    drops = {}
    for step, score in scores.items():
        condition, metric = step.split(" ")
        if condition != "clean":
            clean = scores[f"clean {metric}"]
            worse = clean.value - score.value if METRICS[metric].better == "higher" else score.value - clean.value
            drops[f"{metric}_drop_{condition}"] = Score(worse, note=clean.note or score.note)
    return drops


def _consistency_metric(name: str, about: str) -> Metric:
    return Metric(f"code_consistency_{name}", "share", "higher", NO_SIGNAL, 0.001, None, f"share of codes unchanged {about}", span=SHARE)


def _edits_metric(name: str, about: str) -> Metric:
    about = f"edits between collapsed units, by length, {about.replace('(1 if', '(0 if').replace('be 1)', 'be 0)')}"
    return Metric(f"unit_edits_{name}", "share", "lower", NO_SIGNAL, 0.001, None, about, span=POSITIVE)


def _drop_metric(metric: str, condition: str) -> Metric:
    facts = METRICS[metric]
    about = f"how much worse {metric} is {ABOUT[condition]}"
    return Metric(f"{metric}_drop_{condition}", facts.unit, "lower", dict.fromkeys(facts.rates, 0), facts.tolerance, None, about)


ABOUT = {
    "repeat": "when the clip is encoded again (1 if deterministic)",
    "batch": "in a batch of three against alone (should be 1)",
    "padded": f"with {PADDING:g} s of zeros appended (1 if causal)",
    "slice": "of the middle third coded alone, against the same frames of the whole clip",
    **{name: f"with a second voice, {f'{softer:g} dB softer' if softer else 'as loud'}" for name, softer in VOICES.items()},
    "shift_2ms": "without the first 2 ms, compared frame by frame; for shorter frames, without those that fit into 2 ms",
    **{f"round_{n}": f"after re-encoding, round {n}" for n in ROUNDS},
    **{f"gain_{db}db": f"at {db:+} dB gain, clipped at full scale" for db in (-20, -10, 6)},
    **{f"noise_{snr}db": f"with white noise at {snr} dB SNR" for snr in (20, 10, 0)},
    **{f"band_{khz}khz": f"low-passed at {khz} kHz" for khz in (8, 4)},
    "clipped": "hard-clipped 12 dB below the peak",
}

SUITE = Suite(
    name="robustness",
    version=3,
    about="how codes and audio change under re-encoding, time shift, other context, gain, noise, a second voice, band limits and clipping",
    metrics=(
        *(_consistency_metric(name, about) for name, about in ABOUT.items()),
        *(_edits_metric(name, about) for name, about in ABOUT.items()),
        Metric(
            "silence_codes",
            "",
            "lower",
            NO_SIGNAL,
            0.1,
            None,
            "different codes per codebook in digital silence as long as the clip; best is 1",
        ),
        *(_drop_metric(metric, condition) for metric in SCORED for condition in SCORED[metric]),
    ),
    data="mini",
    run=run,
    needs_decode=False,
    headline=(
        *("code_consistency_repeat", "code_consistency_shift_2ms", "code_consistency_noise_10db", "code_consistency_round_5"),
        *("pesq_wb_drop_round_5", "stoi_drop_noise_10db"),
    ),
    overview=("code_consistency_shift_2ms",),
)
