"""What a small causal language model pays for a tokenizer's codes, in bits per second of real audio.

Speech alone. SEEDS models of the layout `depth`, each trained from scratch with one fixed budget (bench/lm), are tested on speakers and
texts that none learned from; a clip's bits are their mean. If one of them has not converged, the scores are NaN with a note. Bits alone
have no good direction, as a tokenizer that keeps less is cheaper. Further trainings, on request, give further columns: what other layouts
cost, the prequential code length, which charges the learning, too, and what the first model saves when it is told the text or the codes of
a noisy version. Nothing is sampled from a model: of two continuations, it says which it finds likelier.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Literal

import numpy as np

from bench.api import POSITIVE, SHARE, Clip, Domain, Failure, Metric, Row, Score, Suite
from bench.lm import layouts
from bench.lm.changed import changes
from bench.lm.coding import SHORT
from bench.lm.continuation import FIRST, KINDS, VOICE
from bench.lm.continuation import TEXT as SAID
from bench.lm.following import Following
from bench.lm.models import DEPTH, Heard, Models, hear
from bench.lm.options import LAYOUTS, NEXT, PREQUENTIAL, RECOVER, TEXT, Options, parse
from bench.lm.prequential import uniform_bits
from bench.lm.splits import Split, split
from bench.lm.training import Outcome
from bench.tokens.alignment import words

if TYPE_CHECKING:
    from bench.api import Session

VERSION = 4
SEEDS = 3
DOMAIN: Domain = "speech"
SPEECH: Mapping[Domain, int] = {DOMAIN: 0}


def run(options: Options, session: Session) -> Iterator[list[Row]]:
    """Trains all models that are not on disk, then gives the rows of one clip of the test at a time and the pooled ones.

    The other clips, of which there is nothing to say but that they were heard, come as models are done: so progress can be seen.
    """
    parts = split([clip for clip in session.data.clips if clip.domain == DOMAIN])
    heard = hear(session, parts.clips)
    tested = {clip.id for clip in parts.test}
    waiting = [clip for clip in session.todo if clip.id not in tested]
    models = Models(options, session, parts, heard, SEEDS, VERSION)
    following = Following(models, session, parts, changes((parts.train, parts.dev, parts.test), session.seed))
    for done in chain((done / 2 for done in models.train()), ((1 + done) / 2 for done in following.train())):
        ready = math.ceil(len(waiting) * (1 - done))
        yield from (_rows(session, clip, {}, heard) for clip in waiting[ready:])
        del waiting[ready:]
    yield from (_rows(session, clip, {}, heard) for clip in waiting)
    answers, todo = Answers(options, session, parts, heard, models, following), {clip.id for clip in session.todo}
    for clip in parts.test:
        if models.fresh or following.fresh or clip.id in todo:  # other models than those that rows of an earlier run are of
            yield _rows(session, clip, answers.scores(clip), heard)
    yield answers.pooled()


def _rows(session: Session, clip: Clip, scores: Mapping[str, Score], heard: Heard) -> list[Row]:
    return session.clip_rows(clip, scores, heard.seconds.get(clip.id, 0.0), some=True)


class Answers:
    """What the models of one run say of its clips."""

    def __init__(self, options: Options, session: Session, parts: Split, heard: Heard, models: Models, following: Following):
        self.options, self.parts, self.heard, self.models, self.following = options, parts, heard, models, following
        self.spec, self.why = session.spec, models.why

    def scores(self, clip: Clip) -> dict[str, Score]:
        """Of one clip of the test."""
        asked = [DEPTH_COLUMNS, *(FURTHER[word] for word in self.options.words if word in FURTHER)]
        if clip.id not in self.heard.streams or self.why:
            note = self.heard.failures.get(clip.id) or self.why
            return {metric.name: Score(math.nan, note=note) for metrics in asked for metric in metrics}
        found, why = self.models.usable(DEPTH)
        if why:
            scores = {metric.name: Score(math.nan, note=why) for metric in DEPTH_COLUMNS}
        else:
            scores = self._depth_scores(clip, found)
        for name in self.options.layouts:
            scores[f"lm_cost_{name}"] = self._cost(name, clip, found, why)
        if failure := self.following.failure:
            return scores | {m.name: Score(math.nan, note=failure) for word in self.options.following for m in FURTHER[word]}
        return scores | self.following.scores(clip)

    def pooled(self) -> list[Row]:
        """The rows that are of no single clip."""
        own = self.models.of(DEPTH)
        trained = [outcome for outcome in own if isinstance(outcome, Outcome)]
        if not trained:
            note = self.why or next((failure.note for failure in own if isinstance(failure, Failure)), "")
            return [Row("*", DOMAIN, "", "lm_converged", math.nan, note=note)]
        about = f"{self.parts.about}; {self.heard.length(self.models.train_clips) / 60:.1f} minutes to learn from{self.heard.lost()}"
        values = {
            "lm_converged": Score(statistics.mean(outcome.converged for outcome in trained), note=about),
            "lm_params": Score(trained[0].parameters / 1e6),
            "lm_macs_per_s": Score(trained[0].macs_per_s / 1e6),
        }
        found, why = self.models.usable(DEPTH)
        if not why:
            seconds = self.heard.length(self.models.test_clips)
            totals = np.array([[outcome.bits[clip] for clip in self.models.test_clips] for outcome in found]).sum(1) / seconds  # [seeds, C]
            values["lm_spread"] = Score(float(totals.sum(1).std(ddof=1)) if len(totals) > 1 else math.nan)
            books = [
                sum(totals.mean(0)[c] for c, t in enumerate(self.models.alphabet.tables) if t == k)
                for k in range(len(self.models.alphabet.sizes))
            ]
            values |= {BY_CODEBOOK.of_codebook(k): Score(float(bits)) for k, bits in enumerate(books)}
        if PREQUENTIAL in self.options.words:
            values["lm_bits_prequential"] = self._prequential()
        return [Row("*", DOMAIN, "", name, s.value, s.weight, s.note) for name, s in values.items()]

    def _depth_scores(self, clip: Clip, models: Sequence[Outcome]) -> dict[str, Score]:
        stream, letters = self.heard.streams[clip.id], len(words(clip.text))
        bits = _bits(models, clip.id)
        uniform, zero = uniform_bits([clip.id], self.heard.streams, self.models.alphabet), models[0].zero_order[clip.id]
        short = statistics.mean(model.bits_short[clip.id] for model in models)
        frames = layouts.of_spec(DEPTH, self.spec).positions(len(stream.codes))
        return {
            "lm_bits_per_s": Score(bits / stream.seconds, stream.seconds),
            "lm_bits_2s": Score(short / stream.seconds, stream.seconds),
            "lm_gain": Score(1 - bits / uniform, uniform) if uniform else Score(math.nan, note="codebooks of one code"),
            "lm_gain_context": Score(1 - bits / zero, zero) if zero else Score(math.nan, note="one code alone ever came"),
            "lm_bits_per_char": Score(bits / letters, letters) if letters else Score(math.nan, note="no transcript"),
            "lm_positions_per_s": Score(frames / stream.seconds, stream.seconds),
        }

    def _cost(self, name: str, clip: Clip, depth: Sequence[Outcome], why: str) -> Score:
        if name not in self.models.layouts:
            return Score(math.nan, note="one codebook: every layout is the same")
        found, astray = self.models.usable(name)
        if why or astray:
            return Score(math.nan, note=why or astray)
        seconds = self.heard.streams[clip.id].seconds
        return Score((_bits(found, clip.id) - _bits(depth, clip.id)) / seconds, seconds)

    def _prequential(self) -> Score:
        if not self.models.blocks:
            return Score(math.nan, note="too few clips to learn from for five blocks")
        bits = uniform_bits(self.models.blocks[0], self.heard.streams, self.models.alphabet)
        for key in (key for key in self.models.keys() if key.block):
            model = self.models.trained[key]
            if isinstance(model, Failure):
                return Score(math.nan, note=model.note)
            bits += math.fsum(sum(found) for found in model.bits.values())
        return Score(bits / self.heard.length(self.models.train_clips))


def _bits(models: Sequence[Outcome], clip: str) -> float:
    """Of all codes of a clip, the mean over the seeds."""
    return statistics.mean(math.fsum(model.bits[clip]) for model in models)


def _metric(
    name: str,
    unit: str,
    better: Literal["higher", "lower", ""],
    tolerance: float,
    about: str,
    per: Literal["clip", "corpus", "codebook"] = "clip",
    span: tuple[float, float] = POSITIVE,
) -> Metric:
    return Metric(name, unit, better, SPEECH, tolerance, None, about, per, span)


BELOW_ONE, EVERYWHERE = (-math.inf, 1.0), (-math.inf, math.inf)
DEPTH_COLUMNS = (
    _metric("lm_bits_per_s", "bit/s", "", 1, f"code length per second of real audio, new speakers and texts, mean of {SEEDS} models"),
    _metric("lm_bits_2s", "bit/s", "", 1, f"the same models, seeing at most {SHORT:g} s of what came before, not 8 s"),
    _metric("lm_gain", "share", "higher", 0.01, "1 - bits / log2(size) of every code: what the model saves", span=BELOW_ONE),
    _metric(
        "lm_gain_context", "share", "higher", 0.01, "1 - bits / zero-order bits of the same clips: what the past tells", span=BELOW_ONE
    ),
    _metric("lm_bits_per_char", "bit", "lower", 0.1, "bits per character of the transcript: compare at equal probe_asr_cer"),
    _metric("lm_positions_per_s", "1/s", "lower", 0.1, "positions of the large transformer per second of audio (depth: frames)"),
)
CHANGED = {
    "noise_10db": "with white noise at 10 dB SNR",
    "noise_0db": "with white noise at 0 dB SNR",
    "overlap_0db": "with a second voice as loud",
}
CHOICES = {VOICE: "the same text in another voice", SAID: "another text in the same voice"}


def _next(kind: str, first: bool) -> Metric:
    about = f"how often the true second half is found likelier after the first than that of {CHOICES[kind]}"
    name = f"next_acc_{kind}{'_1s' * first}"
    return _metric(name, "share", "higher", 0.01, f"{about}{f'; its first {FIRST:g} s' * first}; chance 50 %", span=SHARE)


FURTHER = {  # by what is asked for
    **{
        name: (_metric(f"lm_cost_{name}", "bit/s", "lower", 1, f"bits of the layout {name} minus those of depth", span=EVERYWHERE),)
        for name in LAYOUTS
    },
    TEXT: (_metric("text_bits_per_s", "bit/s", "higher", 1, "bits that the first model saves when told the transcript", span=EVERYWHERE),),
    RECOVER: tuple(
        _metric(
            f"recover_share_{name}",
            "share",
            "higher",
            0.01,
            f"share of its bits saved when told the codes of the clip {what}",
            span=BELOW_ONE,
        )
        for name, what in CHANGED.items()
    ),
    NEXT: tuple(_next(kind, first) for kind in KINDS for first in (False, True)),
}
BY_CODEBOOK = _metric("lm_codebook_bits_per_s", "bit/s", "", 1, "lm_bits_per_s of each codebook, given those before it", "codebook")
POOLED = (
    _metric("lm_bits_prequential", "bit/s", "", 1, "code length of the training clips, each by a model of those before it", "corpus"),
    _metric("lm_spread", "bit/s", "", 1, f"standard deviation over the {SEEDS} models", "corpus"),
    _metric("lm_converged", "share", "", 0.01, f"share of the {SEEDS} models that converged; below 1, there is no score", "corpus"),
    _metric("lm_params", "M", "", 0.01, "parameters of the model, tables included, millions", "corpus"),
    _metric(
        "lm_macs_per_s",
        "MMAC/s",
        "lower",
        0.1,
        "multiply-accumulates of the model per second of audio, a window of 8 s, millions",
        "corpus",
    ),
)


def suite(options: Options) -> Suite:
    """The suite asked for that."""
    return Suite(
        name="lm",
        version=VERSION,
        about="bits per second that a small language model pays for the codes, on new speakers and texts",
        metrics=(*DEPTH_COLUMNS, BY_CODEBOOK, *(metric for metrics in FURTHER.values() for metric in metrics), *POOLED),
        data="grammar",
        run=partial(run, options),
        needs_decode=False,
        asked=str(options),
        with_asked=lambda text: suite(parse(text)),
        headline=("lm_bits_per_s", "lm_bits_2s", "lm_gain", "lm_gain_context", "lm_bits_per_char", "lm_spread"),
        overview=("lm_bits_per_s", "lm_gain_context"),
    )


SUITE = suite(Options())
