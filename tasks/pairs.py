"""Minimal pairs: how often a small language model of a tokenizer's codes finds the right one of two sounds likelier than the wrong.

Speech alone, and codes alone. A model is trained on the corpus's training part, as the lm suite does (bench/lm), then asked about pairs
made of speakers and texts that it did not learn from (bench/pairs): words, agreement in number, and whether voice, noise, room and tempo
stay the same. Chance is 50 %: right and wrong sounds are made of the same pieces, each as often right as wrong, and both pairs of the same
pieces are decided together. Intervals are over items, and over voices where there are five of them.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench.api import SHARE, Domain, Metric, Row, Suite
from bench.lm.splits import Split, split
from bench.pairs import agreement, consistency, words
from bench.pairs.examination import Examiner, encoded
from bench.pairs.options import Options, parse
from bench.pairs.scores import LOCAL, SCORES, share
from bench.pairs.sets import KINDS as SETS
from bench.pairs.sets import given
from bench.pairs.sounds import Sounds, embedded

if TYPE_CHECKING:
    from bench.api import Session

VERSION = 3
DOMAIN: Domain = "speech"
KINDS = {
    words.KIND: "a word against what is none, of the same phones and the same neighbours",
    agreement.KIND: "subject and verb that agree in number against those that do not",
    "voice": "a sentence ended by the same voice against another, of the same gender where genders are known",
    "gender": "the same against a voice of the other gender",
    "background_10db": "the same sound in the background to the end against another, 10 dB below the voice",
    "background_0db": "the same at 0 dB",
    "room": "a sentence ended in the same room against another (reverberation of 0.2 s and 0.8 s)",
    "tempo": "a sentence ended at the same tempo against another (1.2 times faster and slower)",
    "splice": "a reading in one piece against one joined of two, of one voice: what joins alone give away",
}
ENDINGS = dict(
    zip(
        SCORES,
        (
            "bits summed",
            "bits per frame",
            f"bits per frame in the first {LOCAL:g} s that differs",
            "bits of codebook 1 summed",
            "bits per frame of codebook 1",
            f"bits per frame of codebook 1 in the first {LOCAL:g} s that differs",
        ),
        strict=True,
    )
)
CONVERGED = "pairs_converged"


def run(options: Options, session: Session) -> Iterator[list[Row]]:
    """The rows of clips, those of the test when the models are done, then the pooled ones."""
    parts = split([clip for clip in session.data.clips if clip.domain == DOMAIN])
    tested = {clip.id for clip in parts.test}
    with tempfile.TemporaryDirectory(prefix="pairs-") as folder:
        found = encoded(session, parts, lambda: _sounds(options, session, parts, Path(folder)))
    yield from (
        session.clip_rows(clip, {}, found.heard.seconds.get(clip.id, 0.0), some=True) for clip in session.todo if clip.id not in tested
    )
    examiner = Examiner(session, found, options.seeds, VERSION)
    if not found.why:
        examiner.ask()
    yield from (session.clip_rows(clip, {}, 0.0, some=True) for clip in session.todo if clip.id in tested)
    yield pooled(examiner, kinds(options))


def _sounds(options: Options, session: Session, parts: Split, folder: Path) -> Sounds:
    found = embedded(parts, folder, session.seed)
    return found.beside(given(options.sets, options.limit, session.seed)) if options.sets else found


def kinds(options: Options) -> dict[str, str]:
    """What is asked, and what it is about: by the pairs that are made here, and by those of sets in folders."""
    return KINDS | {kind: f"the right one of a pair of {name}" for name, _ in options.sets for kind in SETS[name]}


def pooled(examiner: Examiner, asked: Mapping[str, str]) -> list[Row]:
    """What is won of each kind, by each score."""
    found = examiner.found
    why = found.why or examiner.failure
    if why:
        return [Row("*", DOMAIN, "", metric.name, math.nan, note=why) for metric in metrics(asked)]
    lost = found.heard.lost() + found.sounds.lost()
    rows = [Row("*", DOMAIN, "", CONVERGED, examiner.converged, note=lost.removeprefix("; "))]
    for number, ending in enumerate(SCORES):
        won = examiner.won(number)
        for kind in asked:
            pairs = [pair for pair in found.pairs if pair.kind == kind]
            name, note = f"pairs_{kind}{ending}", "" if pairs else "no pair of this kind"
            estimate = share(pairs, won) if pairs else None
            rows.append(Row("*", DOMAIN, "", name, estimate.value if estimate else math.nan, note=note))
            if not ending and kind in KINDS:
                each = share(pairs, examiner.won(number, each=True)).value if pairs else math.nan
                rows.append(Row("*", DOMAIN, "", f"{name}_each", each, note=note))
            if not ending:
                low, high = (estimate.low, estimate.high) if estimate else (math.nan, math.nan)
                rows += [Row("*", DOMAIN, "", f"{name}_{end}", value, note=note) for end, value in (("low", low), ("high", high))]
                rows.append(Row("*", DOMAIN, "", f"{name}_pairs", float(len(pairs)), note=note))
    return rows


def _metric(name: str, unit: str, better: Literal["higher", ""], tolerance: float, about: str, span: tuple[float, float] = SHARE) -> Metric:
    return Metric(name, unit, better, {DOMAIN: 0}, tolerance, None, about, "corpus", span)


def _columns(kind: str, about: str) -> Iterator[Metric]:
    name = f"pairs_{kind}"
    for ending, score in ENDINGS.items():
        yield _metric(f"{name}{ending}", "share", "" if kind == "splice" else "higher", 0.01, f"{about}; {score}; chance 50 %")
        if not ending and kind in KINDS:
            yield _metric(f"{name}_each", "share", "", 0.01, f"{name}, each pair by itself: what an end costs anyhow counts, too")
        if not ending:
            yield _metric(f"{name}_low", "share", "", 0.01, f"lower end of the 95 % interval of {name}")
            yield _metric(f"{name}_high", "share", "", 0.01, f"upper end of the 95 % interval of {name}")
            yield _metric(f"{name}_pairs", "", "", 1, f"pairs of {name}", (0.0, math.inf))


def metrics(asked: Mapping[str, str]) -> tuple[Metric, ...]:
    """The columns of what is asked."""
    converged = _metric(CONVERGED, "share", "", 0.01, "share of the models that converged")
    return (*(metric for kind, about in asked.items() for metric in _columns(kind, about)), converged)


def suite(options: Options) -> Suite:
    """The suite asked for that."""
    return Suite(
        name="pairs",
        version=VERSION,
        about="minimal pairs: how often a small language model of the codes tells the right sound from the wrong one",
        metrics=metrics(kinds(options)),
        data="grammar",
        run=partial(run, options),
        needs_decode=False,
        reads_alignments=True,
        asked=str(options),
        with_asked=lambda text: suite(parse(text)),
        headline=tuple(f"pairs_{kind}" for kind in kinds(options)),
        overview=tuple(f"pairs_{kind}" for kind in (words.KIND, agreement.KIND, "voice")),
    )


SUITE = suite(Options())
assert set(consistency.KINDS) <= set(KINDS)
