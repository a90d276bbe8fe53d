"""Codebook utilization, information content of the codes, and their cost in a language model's context.

Encode only. Everything but the rates is pooled over all clips of a domain. Of what a codebook has by itself a column is the mean over the
codebooks (of dead_codes the sum), and the table of codebooks shows each; of what needs all codes together, as a probe does, it is one
value. Shares of a codebook are of the FULL one, dead codes included. What counts dependence is adjusted for chance, so that it does not
depend on how many codes there are.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from bench.api import Domain, Metric, Row, Score, Suite
from bench.data import alignments
from bench.metrics import METRICS, NO_SIGNAL
from bench.tokens import bpe
from bench.tokens.alignment import features, trios, words
from bench.tokens.codes import CodeCounts, rates, streams, uncountable
from bench.tokens.labels import inventory, labelled
from bench.tokens.layouts import CONTEXTS
from bench.tokens.mutual_information import of_label
from bench.tokens.options import Options, parse
from bench.tokens.parallel_scores import SHARED_COLUMNS, shared_scores
from bench.tokens.scored import Encoded, Scored, mean_of, missing
from bench.tokens.spoken_scores import ABX_COLUMNS, PHONE_COLUMNS, abx_scores, adjusted, phone_scores, speaker_scores
from bench.tokens.units import unit_scores
from bench.tokens.usage import usage_scores

if TYPE_CHECKING:
    from bench.api import Reconstruction, Session

Scores = dict[str, Scored]
"""By metric."""


def run(further: tuple[Metric, ...], session: Session) -> Iterator[list[Row]]:
    """Rows of one clip at a time, then the pooled ones of each domain, with those that were asked for."""
    pool = Pool(session, further)
    for item in map(pool.told, session.reconstructions(session.todo)):
        pool.add(item)
        none = {metric.name: Score(math.nan, note=item.failure) for metric in session.expected(item.clip.domain)}
        yield session.clip_rows(item.clip, none if item.failure else rates(item), item.seconds)
    for item in map(pool.told, session.reconstructions(session.done)):  # a resumed run: their codes count too, and were not kept
        pool.add(item)
    for domain in sorted(pool.spent):
        yield pool.rows(domain)


class Pool:
    """The codes of all clips, and what of their audio it takes to align parallel texts."""

    def __init__(self, session: Session, further: tuple[Metric, ...]):
        self.spec, self.seed, self.clips = session.spec, session.seed, session.data.clips
        self.asked = (*POOLED, *further)
        self.counts = CodeCounts(session.spec)
        self.spent: dict[str, list[tuple[int, float]]] = defaultdict(list)  # by domain, tokens and seconds of each clip
        self.encoded: dict[str, Encoded] = {}
        self.letters: dict[str, np.ndarray] = {}  # of each clip, its codes frame by frame
        self.features: dict[str, np.ndarray] = {}
        self.alignments = {clip.id: alignments.read(clip) for clip in self.clips if clip.domain == "speech"}
        self.phones = inventory(self.alignments.values(), self.spec) if self.spec.labelled else {}
        self.trios = [] if uncountable(self.spec) else trios([clip for clip in self.clips if clip.domain == "speech"])
        self._aligned = {clip for trio in self.trios for clip in (trio.a, trio.b, trio.other)}

    def told(self, item: Reconstruction) -> Reconstruction:
        """The item; of phone labels as codes, with the labels."""
        if not self.spec.labelled:
            return item
        return labelled(item, self.alignments.get(item.clip.id), self.phones, self.spec.frame_rate)

    def add(self, item: Reconstruction) -> None:
        """Takes in one clip."""
        clip = item.clip
        self.counts.add(item)
        self.spent[clip.domain].append((item.tokens, item.seconds))
        if not item.failure and not uncountable(self.spec):
            largest = max(book.size for book in self.spec.codebooks)
            codes = item.codes.numpy().astype(np.min_scalar_type(largest - 1))
            self.encoded[clip.id] = Encoded(clip, streams(codes, self.spec), item.seconds, self.alignments.get(clip.id))
            self.letters[clip.id] = bpe.letters(codes[:, : math.ceil(LETTERS / len(codes))], self.spec)
            if clip.id in self._aligned:
                self.features[clip.id] = features(item.ref)

    def rows(self, domain: str) -> list[Row]:
        """All pooled rows of a domain, in an order of clips that does not depend on which was done first."""
        rows = self.counts.rows(domain) + self._budget(domain)
        clips = [self.encoded[clip.id] for clip in self.clips if clip.domain == domain and clip.id in self.encoded]
        asked = [metric for metric in self.asked if domain in metric.rates]
        if not clips:
            note = uncountable(self.spec) or "no clip was encoded"
            return rows + [Row("*", domain, "", metric.name, math.nan, note=note) for metric in asked]
        scores = usage_scores(clips, self.spec, self.seed) | self._learnt(clips)
        scores |= unit_scores(clips, [len(table) * self.spec.codebooks[table[0]].rate for table in self.spec.tables])
        if domain == "speech":
            scores |= self._told("mi_speaker", clips, [clip.clip.speaker for clip in clips], "speakers")
            said = [words(clip.clip.text) for clip in clips]
            scores |= self._told("mi_word", clips, [text if " " not in text else "" for text in said], "single-word clip labels")
            scores |= self._timed(clips)
        return rows + [row for metric in asked for row in _rows(metric, domain, scores[metric.name])]

    def _budget(self, domain: str) -> list[Row]:
        tokens, seconds = map(math.fsum, zip(*self.spent[domain], strict=True))  # exact, and so the same in any order
        if not tokens:
            return [Row("*", domain, "", metric.name, math.nan, note="no clip was encoded") for metric in BUDGET]
        values = [30 * tokens / seconds, *(context * seconds / tokens for context in CONTEXTS.values())]
        return [Row("*", domain, "", metric.name, value) for metric, value in zip(BUDGET, values, strict=True)]

    def _told(self, name: str, clips: Sequence[Encoded], labels: list[str], what: str) -> Scores:
        """What a code tells of its clip's label; clips without one stay out."""
        there = [(clip, label) for clip, label in zip(clips, labels, strict=True) if label]
        if len({label for _, label in there}) < 2:
            return dict.fromkeys((name, f"{name}_shuffled"), missing(f"needs at least two {what}"))
        named = [label for _, label in there]
        found = [of_label([clip.codes[k] for clip, _ in there], named, self.seed) for k in range(len(self.spec.tables))]
        return {name: mean_of(list(map(adjusted, found))), f"{name}_shuffled": mean_of([Score(one.control) for one in found])}

    def _timed(self, clips: Sequence[Encoded]) -> Scores:
        """What is asked of the codes of a moment."""
        if not math.isfinite(self.spec.frame_rate):
            return dict.fromkeys(TIMED, missing("its frames vary in length: its rate does not say which code is there at what time"))
        per_second = [len(table) * self.spec.frame_rate for table in self.spec.tables]
        by_id = {clip.clip.id: clip for clip in clips}
        return (
            phone_scores(clips, per_second, self.seed)
            | speaker_scores(clips, per_second, self.seed)
            | shared_scores(self.trios, by_id, self.features, per_second, self.seed)
            | abx_scores(clips, per_second, self.seed)
        )

    def _learnt(self, clips: Sequence[Encoded]) -> Scores:
        """Acoustic BPE, learnt on every second clip and tried on the others."""
        learn, test = (_first([self.letters[clip.clip.id] for clip in clips[start::2]]) for start in (0, 1))
        if not test:
            return dict.fromkeys((metric.name for metric in BPE), missing("needs two clips, one to learn from and one to try it on"))
        learnt = bpe.learn(learn, bpe.vocabulary(self.spec), MERGES)
        codes = sum(map(len, test))
        per_token = codes / sum(len(learnt.encode(letters)) for letters in test)
        tokens, seconds = map(math.fsum, zip(*self.spent[clips[0].clip.domain], strict=True))
        return {"bpe_codes_per_token": Scored(Score(per_token)), "bpe_tokens_per_s": Scored(Score(tokens / seconds / per_token))}


def _first(found: list[np.ndarray]) -> list[np.ndarray]:
    """Streams until LETTERS are reached, the last one cut."""
    before = np.cumsum([0, *map(len, found)])
    return [stream[: LETTERS - start] for stream, start in zip(found, before, strict=False) if start < LETTERS and len(stream)]


def _rows(metric: Metric, domain: str, scored: Scored) -> list[Row]:
    row = Row("*", domain, "", metric.name, scored.whole.value, note=scored.whole.note)
    each = [(k, score.value) for k, score in enumerate(scored.codebooks)]
    return [row, *(Row("*", domain, "", metric.of_codebook(k), value) for k, value in each if math.isfinite(value))]


TIMED = (*PHONE_COLUMNS, "speaker_bits_1s", *SHARED_COLUMNS, *ABX_COLUMNS)
LETTERS = 100_000  # codes that BPE learns from, and as many that it is tried on, at most
MERGES = 512


SPEECH: Mapping[Domain, int] = {"speech": 0}
SHARES = (-math.inf, 1.0)


def _metric(
    name: str, unit: str, better: Literal["higher", "lower", ""], tolerance: float, about: str, domains: Mapping[Domain, int] = NO_SIGNAL
) -> Metric:
    return Metric(name, unit, better, domains, tolerance, None, about, "codebook")


def _told(name: str, about: str, better: Literal["higher", "lower", ""] = "") -> Metric:
    """A share adjusted for chance."""
    return replace(_metric(name, "share", better, 0.001, about, SPEECH), span=SHARES)


def _whole(
    name: str, unit: str, better: Literal["higher", "lower", ""], tolerance: float, about: str, domains: Mapping[Domain, int] = SPEECH
) -> Metric:
    return Metric(name, unit, better, domains, tolerance, None, about, "corpus")


SHARED = "log2 of how much oftener two voices' codes are equal at aligned moments of one text than of two (Renyi-2 information)"
HELD_OUT = "by tables of other clips"
ABX = "ABX error on triphones (ZeroSpeech), distance: share of unequal codes along the warped path;"
BUDGET = (
    Metric("tokens_30s", "", "lower", NO_SIGNAL, 1, None, "codes per 30 s of audio at the measured rate", "corpus", fixed=True),
    *(
        Metric(
            f"context_{name}_s",
            "s",
            "higher",
            NO_SIGNAL,
            0.1,
            None,
            f"seconds of audio in a context of {size:,} codes (flattened layout)",
            "corpus",
        )
        for name, size in CONTEXTS.items()
    ),
)
BY_CODEBOOK = (
    _metric(
        "frames_per_code",
        "",
        "",
        0.1,
        "frames per codebook entry; below 10, the data limit utilization and entropies",
    ),
    _metric("codebook_utilization", "share", "higher", 0.001, "share of codebook entries used at least once"),
    _metric("dead_codes", "", "lower", 1, "unused codes, summed over the codebooks"),
    _metric("perplexity_norm", "share", "higher", 0.001, "perplexity (2^entropy) divided by the codebook size"),
    _metric("entropy_bits", "bit", "", 0.01, "zero-order entropy per code"),
    _metric("entropy_norm", "share", "higher", 0.001, "entropy divided by log2(codebook size); 1: all codes equally frequent"),
    _metric("zipf_slope", "", "", 0.01, "slope of log count against log rank, weighted by count; 0: all equally frequent; words: about -1"),
    _metric("repeat_rate", "share", "", 0.001, "share of codes equal to the previous one (what deduplication would remove)"),
    _metric("bigram_bits", "bit", "", 0.01, "conditional entropy given the previous code, by counting; underestimated on few frames"),
    _metric("bigram_bits_shuffled", "bit", "", 0.01, "control: bigram_bits in shuffled order"),
    _told("mi_speaker", "mutual information of code and speaker divided by the speaker entropy, adjusted for chance: (raw - c) / (1 - c)"),
    _metric("mi_speaker_shuffled", "share", "", 0.001, "its c: the same with speakers shuffled over the clips", SPEECH),
    _told("mi_word", "mutual information of code and word divided by the word entropy (single-word clips), adjusted for chance alike"),
    _metric("mi_word_shuffled", "share", "", 0.001, "its c: the same with words shuffled over the clips", SPEECH),
    _told(
        "pnmi",
        "mutual information of code and phone, 50 a second, divided by the phone entropy, adjusted for chance: phones turned against codes",
        "higher",
    ),
    _metric("pnmi_raw", "share", "", 0.001, "the same by counting alone, as papers report it: rises with the codebook's size", SPEECH),
    _metric("phone_purity", "share", "", 0.001, "share of moments whose phone is the commonest one of their code", SPEECH),
    _metric("cluster_purity", "share", "", 0.001, "share of moments whose code is the commonest one of their phone", SPEECH),
    _metric("shared_bits", "bit", "higher", 0.05, SHARED, SPEECH),
    _told("shared_share", "shared_bits over the Renyi-2 entropy of codes across voices; 1: voices code alike always", "higher"),
    _metric("shared_mi", "bit", "higher", 0.05, "adjusted mutual information of aligned codes, each pair of voices by itself", SPEECH),
    _metric("phone_bits_per_s", "bit/s", "higher", 0.5, f"phones a second x bits that all codes of a phone tell of it, {HELD_OUT}", SPEECH),
    _metric("speaker_bits_1s", "bit", "", 0.01, f"bits that all codes of a second tell of the speaker, {HELD_OUT}", SPEECH),
    _metric("abx_within", "share", "lower", 0.001, f"{ABX} a, b and x of one voice", SPEECH),
    _metric("abx_across", "share", "lower", 0.001, f"{ABX} x of another voice than a and b", SPEECH),
)
CORPUS = (
    _whole("shared_bits_low", "bit", "", 0.05, "lower end of the 95 % interval of shared_bits, by drawing texts"),
    _whole("shared_bits_high", "bit", "", 0.05, "upper end of the 95 % interval of shared_bits, by drawing texts"),
    _whole("abx_codes_per_item", "", "", 0.1, "codes of the fastest codebook in an item of the ABX test, on the average"),
    _whole("abx_excluded", "", "", 1, "items of the ABX test left out, since they have fewer than two codes"),
)
BPE = (
    _whole(
        "bpe_codes_per_token", "", "", 0.01, f"codes in a token of acoustic BPE: {MERGES} merges learnt on every second clip", NO_SIGNAL
    ),
    _whole("bpe_tokens_per_s", "1/s", "", 0.01, "tokens of that acoustic BPE per second of audio, on the other clips", NO_SIGNAL),
)
POOLED = (*BY_CODEBOOK, *CORPUS, *BPE)
RATES = tuple(METRICS[name] for name in ("tokens_per_s", "kbps_packed", "kbps_nominal", "kbps_entropy"))

UNITS = (
    _metric("units_per_s", "1/s", "", 0.1, "units a second: codes of a codebook, equal neighbours as one"),
    _metric("unit_ms", "ms", "", 0.1, "how long a unit lasts, on the average"),
    _metric("unit_ms_median", "ms", "", 0.1, "the median of that"),
    _metric("unit_ms_p90", "ms", "", 0.1, "what nine of ten units last at most"),
    _metric("unit_ms_longest", "ms", "", 0.1, "the longest unit, silence among them"),
)


def suite(options: Options) -> Suite:
    """The suite asked for that."""
    return replace(
        SUITE,
        metrics=(*SUITE.metrics, *(UNITS if options.units else ())),
        run=partial(run, UNITS if options.units else ()),
        asked=str(options),
    )


SUITE = Suite(
    name="codes",
    version=4,
    about="codebook utilization, information content, and context cost for a language model",
    metrics=(*RATES, *BUDGET, *POOLED),
    data="mini",
    run=partial(run, ()),
    needs_decode=False,
    reads_alignments=True,
    with_asked=lambda text: suite(parse(text)),
    overview=("kbps_packed", "tokens_per_s", "codebook_utilization"),
    headline=(
        "kbps_packed",
        "tokens_per_s",
        "codebook_utilization",
        "perplexity_norm",
        "entropy_norm",
        "pnmi",
        "phone_bits_per_s",
        "shared_bits",
        "abx_across",
        "mi_speaker",
    ),
)
