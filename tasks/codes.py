"""Codebook utilization, information content of the codes, and their cost in a language model's context.

Encode only. Everything but the rates is pooled over all clips of a domain, one codebook at a time; a column is the mean over the codebooks
(of dead_codes the sum), and the table of codebooks shows each. Shares are of the FULL codebook, dead codes included.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from bench.api import Domain, Metric, Row, Score, Suite
from bench.metrics import METRICS, NO_SIGNAL
from bench.tokens.alignment import Trio, aligned, features, times, trios, words
from bench.tokens.codes import CodeCounts, rates, streams, uncountable
from bench.tokens.layouts import CONTEXTS
from bench.tokens.mutual_information import entropy, of_label, of_next, zipf_slope

if TYPE_CHECKING:
    from bench.api import Reconstruction, Session

ENOUGH = 10  # frames for each code: with fewer, a good codebook cannot be told from one that is half dead
FEW = "below 10: utilization, entropies and perplexity are underestimated on so little audio"
Scores = dict[str, list[Score]]
"""By metric, the scores of all codebooks, or a single one that holds for all."""


def run(session: Session) -> Iterator[list[Row]]:
    """Rows of one clip at a time, then the pooled ones of each domain."""
    pool = Pool(session)
    done = [clip for clip in session.data.clips if clip not in session.todo]
    for item in session.reconstructions(session.todo):
        pool.add(item)
        missing = {metric.name: Score(math.nan, note=item.failure) for metric in session.expected(item.clip.domain)}
        yield session.clip_rows(item.clip, missing if item.failure else rates(item), item.seconds)
    for item in session.reconstructions(done):  # a resumed run: their codes count too, and were not kept
        pool.add(item)
    for domain in sorted(pool.spent):
        yield pool.rows(domain)


class Pool:
    """The codes of all clips, and what of their audio it takes to align parallel texts."""

    def __init__(self, session: Session):
        self.spec, self.seed, self.clips = session.spec, session.seed, session.data.clips
        self.counts = CodeCounts(session.spec)
        self.spent: dict[str, list[tuple[int, float]]] = defaultdict(list)  # by domain, tokens and seconds of each clip
        self.codes: dict[str, list[np.ndarray]] = {}  # of each table, in the order of time
        self.features: dict[str, np.ndarray] = {}
        self.trios = [] if uncountable(self.spec) else trios([clip for clip in self.clips if clip.domain == "speech"])
        self._aligned = {clip for trio in self.trios for clip in (trio.a, trio.b, trio.other)}

    def add(self, item: Reconstruction) -> None:
        """Takes in one clip."""
        clip = item.clip
        self.counts.add(item)
        self.spent[clip.domain].append((item.tokens, item.seconds))
        if not item.failure and not uncountable(self.spec):
            largest = max(book.size for book in self.spec.codebooks)
            self.codes[clip.id] = streams(item.codes.numpy().astype(np.min_scalar_type(largest - 1)), self.spec)
            if clip.id in self._aligned:
                self.features[clip.id] = features(item.ref)

    def rows(self, domain: str) -> list[Row]:
        """All pooled rows of a domain, in an order of clips that does not depend on which was done first."""
        rows = self.counts.rows(domain) + self._budget(domain)
        clips = [clip for clip in self.clips if clip.domain == domain and clip.id in self.codes]
        if not clips:
            note = uncountable(self.spec) or "no clip was encoded"
            return rows + [Row("*", domain, "", metric.name, math.nan, note=note) for metric in BY_CODEBOOK if domain in metric.rates]
        coded = [self.codes[clip.id] for clip in clips]
        scores = self._health(coded)
        if domain == "speech":
            scores |= self._told("mi_speaker", coded, [clip.speaker for clip in clips], "speakers")
            said = [words(clip.text) for clip in clips]
            scores |= self._told("mi_word", coded, [text if " " not in text else "" for text in said], "single-word clip labels")
            scores |= self._parallel()
        return rows + [row for metric in BY_CODEBOOK if metric.name in scores for row in self._rows(metric, domain, scores[metric.name])]

    def _budget(self, domain: str) -> list[Row]:
        tokens, seconds = map(math.fsum, zip(*self.spent[domain], strict=True))  # exact, and so the same in any order
        if not tokens:
            return [Row("*", domain, "", metric.name, math.nan, note="no clip was encoded") for metric in BUDGET]
        values = [30 * tokens / seconds, *(context * seconds / tokens for context in CONTEXTS.values())]
        return [Row("*", domain, "", metric.name, value) for metric, value in zip(BUDGET, values, strict=True)]

    def _health(self, coded: list[list[np.ndarray]]) -> Scores:
        """How each codebook is used."""
        scores: Scores = {}
        for k, table in enumerate(self.spec.tables):
            book, mine = self.spec.codebooks[table[0]], [tables[k] for tables in coded]
            counts = np.bincount(np.concatenate(mine), minlength=book.size)
            again = sum(int((codes[1:] == codes[:-1]).sum()) for codes in mine)
            bits, next_bits = entropy(counts), of_next(mine, self.seed)
            values = {
                "frames_per_code": counts.sum() / book.size,
                "codebook_utilization": (counts > 0).mean(),
                "dead_codes": (counts == 0).sum(),
                "perplexity_norm": 2**bits / book.size,
                "entropy_bits": bits,
                "entropy_norm": bits / math.log2(book.size) if book.size > 1 else math.nan,
                "zipf_slope": zipf_slope(counts),
                "repeat_rate": again / max(1, counts.sum() - len(mine)),
                "bigram_bits": next_bits.raw,
                "bigram_bits_shuffled": next_bits.control,
            }
            notes = {"frames_per_code": FEW if values["frames_per_code"] < ENOUGH else ""}
            for name, value in values.items():
                note = notes.get(name, "" if math.isfinite(value) else "too few codes")
                scores.setdefault(name, []).append(Score(float(value), note=note))
        return scores

    def _told(self, name: str, coded: list[list[np.ndarray]], labels: list[str], what: str) -> Scores:
        """What a code tells of its clip's label; clips without one stay out."""
        there = [i for i, label in enumerate(labels) if label]
        if len({labels[i] for i in there}) < 2:
            missing = [Score(math.nan, note=f"needs at least two {what}")]
            return {name: missing, f"{name}_shuffled": missing}
        scores: Scores = {name: [], f"{name}_shuffled": []}
        for k in range(len(self.spec.tables)):
            found = of_label([coded[i][k] for i in there], [labels[i] for i in there], self.seed)
            scores[name].append(Score(found.raw - found.control))
            scores[f"{name}_shuffled"].append(Score(found.control))
        return scores

    def _parallel(self) -> Scores:
        """How often two voices that say the same have the same code at the same time, beside the same two with different texts."""
        found = [trio for trio in self.trios if {trio.a, trio.b, trio.other} <= self.codes.keys()]
        names = ("code_agreement_same_text", "code_agreement_other_text", "code_agreement_excess")
        if not found:
            note = "needs one text read by two speakers, and another text of the same two"
            return {name: [Score(math.nan, note=note)] for name in names}
        same, other = (np.sum(equal, axis=0) for equal in zip(*map(self._both, found), strict=True))
        same, other = same[:-1] / same[-1], other[:-1] / other[-1]
        return dict(zip(names, ([Score(float(v)) for v in values] for values in (same, other, same - other)), strict=True))

    def _both(self, trio: Trio) -> tuple[np.ndarray, np.ndarray]:
        return self._equal(trio.a, trio.b), self._equal(trio.a, trio.other)

    def _equal(self, a: str, b: str) -> np.ndarray:
        """Steps of the alignment at which codebook k's codes are equal [K], then the steps in all."""
        path = aligned(self.features[a], self.features[b])
        at_a, at_b = (self._at(clip, path[:, side]) for side, clip in enumerate((a, b)))
        return np.append((at_a == at_b).sum(1), len(path)).astype(np.float64)

    def _at(self, clip: str, frames: np.ndarray) -> np.ndarray:
        """Codes [tables, P] of a clip in the middle of frames of its features."""
        rates = [len(table) * self.spec.frame_rate for table in self.spec.tables]
        at = [(times(frames) * rate).astype(int).clip(max=len(codes) - 1) for codes, rate in zip(self.codes[clip], rates, strict=True)]
        return np.stack([codes[index] for codes, index in zip(self.codes[clip], at, strict=True)])

    def _rows(self, metric: Metric, domain: str, scores: list[Score]) -> list[Row]:
        values = [score.value for score in scores]
        pooled = sum(values) if metric.name == "dead_codes" else sum(values) / len(values)
        row = Row("*", domain, "", metric.name, pooled, note=next((s.note for s in scores if s.note), ""))
        return [row, *(Row("*", domain, "", metric.of_codebook(k), v) for k, v in enumerate(values) if math.isfinite(v))]


SPEECH: Mapping[Domain, int] = {"speech": 0}


def _metric(
    name: str, unit: str, better: Literal["higher", "lower", ""], tolerance: float, about: str, domains: Mapping[Domain, int] = NO_SIGNAL
) -> Metric:
    return Metric(name, unit, better, domains, tolerance, None, about, "codebook")


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
    _metric(
        "mi_speaker",
        "share",
        "",
        0.001,
        "mutual information of code and speaker divided by the speaker entropy, minus mi_speaker_shuffled",
        SPEECH,
    ),
    _metric("mi_speaker_shuffled", "share", "", 0.001, "control: the same with speakers shuffled over the clips", SPEECH),
    _metric(
        "mi_word",
        "share",
        "",
        0.001,
        "mutual information of code and word divided by the word entropy (single-word clips), minus mi_word_shuffled",
        SPEECH,
    ),
    _metric("mi_word_shuffled", "share", "", 0.001, "control: the same with words shuffled over the clips", SPEECH),
    _metric(
        "code_agreement_same_text",
        "share",
        "",
        0.001,
        "share of equal codes between two speakers reading the same text, time-aligned by cepstra",
        SPEECH,
    ),
    _metric(
        "code_agreement_other_text",
        "share",
        "",
        0.001,
        "control: the same two speakers with different texts",
        SPEECH,
    ),
    _metric(
        "code_agreement_excess",
        "share",
        "higher",
        0.001,
        "code_agreement_same_text minus code_agreement_other_text",
        SPEECH,
    ),
)
RATES = tuple(METRICS[name] for name in ("tokens_per_s", "kbps_packed", "kbps_nominal", "kbps_entropy"))

SUITE = Suite(
    name="codes",
    version=2,
    about="codebook utilization, information content, and context cost for a language model",
    metrics=(*RATES, *BUDGET, *BY_CODEBOOK),
    data="mini",
    run=run,
    needs_decode=False,
    overview=("kbps_packed", "tokens_per_s", "codebook_utilization"),
    headline=(
        "kbps_packed",
        "tokens_per_s",
        "codebook_utilization",
        "perplexity_norm",
        "entropy_norm",
        "mi_speaker",
        "code_agreement_excess",
    ),
)
