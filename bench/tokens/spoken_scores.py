"""The columns of codes that know when each phone is spoken, of who speaks, and the ABX test: speech whose clips have alignments."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.api import Score
from bench.data.alignments import Item
from bench.tokens import abx, held_out
from bench.tokens.alignment import words
from bench.tokens.mutual_information import CERTAIN, Counted
from bench.tokens.phone_information import at, moments, of_phones, segments, spoken
from bench.tokens.scored import Encoded, Scored, mean_of, missing

NO_PHONES = "needs clips whose manifest names an alignment: when each phone is spoken"
WINDOW = 1.0  # s of speech that are to tell the speaker
CELLS = 20  # of an ABX test, at least
PHONE_COLUMNS = ("pnmi", "pnmi_raw", "phone_purity", "cluster_purity", "phone_bits_per_s")
ABX_COLUMNS = ("abx_within", "abx_across", "abx_codes_per_item", "abx_excluded")
Scores = dict[str, Scored]


def adjusted(found: Counted) -> Score:
    """What is told beyond chance; NaN where chance tells nearly all there is to tell."""
    if found.control > CERTAIN:
        return Score(math.nan, note=f"by chance alone so many codes tell {100 * found.control:.0f} % of so few labels")
    return Score(found.adjusted)


def phone_scores(clips: Sequence[Encoded], rates: Sequence[float], seed: int) -> Scores:
    """pnmi and what belongs to it, and phone_bits_per_s. rates: codes per second of every table."""
    heard = [(clip, clip.alignment.phones) for clip in clips if clip.alignment and clip.alignment.phones]
    if not heard:
        return dict.fromkeys(PHONE_COLUMNS, missing(NO_PHONES))
    sampled = [moments(phones, clip.seconds) for clip, phones in heard]
    voices = [clip.clip.speaker or clip.clip.id for clip, _ in heard]
    found = []
    for k, rate in enumerate(rates):
        codes = [at(clip.codes[k], rate, times) for (clip, _), (times, _) in zip(heard, sampled, strict=True)]
        found.append(of_phones(codes, [said for _, said in sampled], voices, seed))
    said = [(clip, phone) for clip, phones in heard for phone in spoken(phones) if phone.start < clip.seconds]
    asked = Asked(
        [segments(clip.codes, rates, phone.start, phone.end) for clip, phone in said],
        [phone.name for _, phone in said],
        [_reading(clip) for clip, _ in said],
        "phones",
    )
    per_second = len(said) / math.fsum(clip.seconds for clip, _ in heard)
    return {
        "pnmi": mean_of([adjusted(one.information) for one in found]),
        "pnmi_raw": mean_of([Score(one.information.raw) for one in found]),
        "phone_purity": mean_of([Score(one.phone_purity) for one in found]),
        "cluster_purity": mean_of([Score(one.cluster_purity) for one in found]),
        "phone_bits_per_s": asked.told(seed, per_second),
    }


def speaker_scores(clips: Sequence[Encoded], rates: Sequence[float], seed: int) -> Scores:
    """speaker_bits_1s, of the whole and of each table."""
    windows = [
        (clip, start) for clip in clips if clip.clip.speaker for start in np.arange(0, clip.seconds - WINDOW + 1e-6, WINDOW).tolist()
    ]
    if not windows:
        return {"speaker_bits_1s": missing(f"needs clips of {WINDOW:g} s and more whose speaker is named")}
    asked = Asked(
        [segments(clip.codes, rates, start, start + WINDOW) for clip, start in windows],
        [clip.clip.speaker for clip, _ in windows],
        [_reading(clip) for clip, _ in windows],
        "speakers",
    )
    return {"speaker_bits_1s": asked.told(seed)}


def _reading(clip: Encoded) -> str:
    """Readings of one text by one voice are nearly alike: they stay together."""
    text = words(clip.clip.text)
    return f"{clip.clip.speaker}\0{text}" if clip.clip.speaker and text else clip.clip.id


@dataclass(frozen=True)
class Asked:
    """Segments, of each the codes of every table, and what they are to tell; a group, of readings that are alike, stays together."""

    segments: Sequence[Sequence[np.ndarray]]
    labels: Sequence[str]
    groups: Sequence[str]
    what: str

    def told(self, seed: int, factor: float = 1.0) -> Scored:
        """Bits a segment, times a factor: of all codes together, and of each table's by themselves."""
        whole = self._bits(self.segments, seed)
        if math.isnan(whole):
            return missing(f"needs two {self.what} and {held_out.FOLDS} clips at least, to learn from some what the others tell")
        tables = range(len(self.segments[0]))
        each = [self._bits([[codes[k]] for codes in self.segments], seed) for k in tables] if len(tables) > 1 else [whole]
        return Scored(Score(factor * whole), tuple(Score(factor * bits) for bits in each))

    def _bits(self, segments: Sequence[Sequence[np.ndarray]], seed: int) -> float:
        return held_out.told(segments, self.labels, self.groups, seed).bits


def abx_scores(clips: Sequence[Encoded], rates: Sequence[float], seed: int) -> Scores:
    """The ABX columns."""
    items = [(clip, item) for clip in clips if clip.alignment for item in clip.alignment.items if _voice(clip, item)]
    if not items:
        note = NO_PHONES if not any(clip.alignment for clip in clips) else "needs triphones of named speakers"
        return dict.fromkeys(ABX_COLUMNS, missing(note))
    fastest = max(rates)
    counted = [(clip, item, codes) for clip, item in items if (codes := _codes_in(item, clip.seconds, fastest)) >= 2]
    tokens = [abx.Token(_voice(clip, item), item.name, (item.before, item.after), _coded(clip, rates, item)) for clip, item, _ in counted]
    return {
        "abx_within": _abx(tokens, abx.within(tokens, seed), len(rates)),
        "abx_across": _abx(tokens, abx.across(tokens, seed), len(rates)),
        "abx_codes_per_item": Scored(Score(float(np.mean([codes for *_, codes in counted]))))
        if counted
        else missing("no item has 2 codes"),
        "abx_excluded": Scored(Score(float(len(items) - len(counted)))),
    }


def _voice(clip: Encoded, item: Item) -> str:
    return clip.clip.speaker or item.speaker


def _codes_in(item: Item, seconds: float, rate: float) -> int:
    """Codes of the fastest codebook that are there in an item's frames; 0 where the clip ends before."""
    times = abx.frames(item)
    if not len(times) or times[-1] >= seconds:
        return 0
    return int(times[-1] * rate) - int(times[0] * rate) + 1


def _coded(clip: Encoded, rates: Sequence[float], item: Item) -> np.ndarray:
    times = abx.frames(item)
    return np.stack([at(codes, rate, times) for codes, rate in zip(clip.codes, rates, strict=True)])


def _abx(tokens: Sequence[abx.Token], cells: Sequence[abx.Cell], tables: int) -> Scored:
    if len(cells) < CELLS:
        return missing(f"the items make {len(cells)} cells: {CELLS} are needed")
    whole, *each = abx.errors(tokens, cells)
    return Scored(Score(whole), tuple(map(Score, itertools.islice(each, tables))))
