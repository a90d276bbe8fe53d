"""The bundled corpus `grammar` as codes that are known without any tokenizer, and a model that learns them."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np

from bench.api import Clip
from bench.data import alignments
from bench.data.alignments import Phone
from bench.data.manifests import open_data
from bench.lm.coding import Training
from bench.lm.layouts import layout
from bench.lm.splits import Split, split
from bench.lm.streams import Alphabet, Stream
from bench.lm.training import PARTS, budget
from bench.pairs import lexicon
from bench.pairs.learned import Examination, Verdict, examine, joined
from bench.pairs.lexicon import Lexicon
from bench.pairs.pieces import RATE, Reading, Sound, reading
from bench.pairs.quads import Quad
from bench.pairs.scores import SCORES, answers, share

FRAMES = 50.0  # a second
Coded = Callable[[Sound], np.ndarray]
"""A sound as codes [F, C] at FRAMES."""


@lru_cache
def parts() -> Split:
    """Of the corpus."""
    return split(open_data("grammar").clips)


@lru_cache
def language() -> Lexicon:
    """Its words."""
    path = parts().test[0].alignment
    assert path
    return lexicon.read(path.parent / lexicon.FILE)


@lru_cache
def voices(part: str = "test", most: int = 1000) -> Mapping[str, Sequence[Reading]]:
    """Readings by voice."""
    found: dict[str, list[Reading]] = defaultdict(list)
    for clip in {"test": parts().test, "dev": parts().dev}[part][:most]:
        read = reading(clip, language())
        assert read, clip.text
        found[clip.speaker].append(read)
    return found


@lru_cache
def phone_numbers() -> Mapping[str, int]:
    """Each phone's."""
    names = {phone.name for clip in parts().clips for phone in phones(clip)}
    return {name: number for number, name in enumerate(sorted(names))}


def phones(clip: Clip) -> tuple[Phone, ...]:
    """Those of a clip."""
    found = alignments.read(clip)
    assert found
    return found.phones


def labels(said: Sequence[Phone], seconds: float) -> np.ndarray:
    """The phone in the middle of each frame, [F, 1]."""
    times = (np.arange(max(1, round(seconds * FRAMES))) + 0.5) / FRAMES
    starts = np.array([phone.start for phone in said])
    place = np.clip(np.searchsorted(starts, times, side="right") - 1, 0, len(said) - 1)
    return np.array([phone_numbers()[phone.name] for phone in said], dtype=np.int64)[place][:, None]


def phone_labels(sound: Sound) -> np.ndarray:
    """Of a sound."""
    return labels(sound.phones, len(sound.wave) / RATE)


def sounds(clips: Sequence[Clip]) -> dict[str, Sound]:
    """Clips as sounds, at the level of readings."""
    found = {}
    for clip in clips:
        read = reading(clip, language())
        assert read
        found[clip.id] = Sound(read.wave, read.phones)
    return found


def told_apart(
    quads: Sequence[Quad], streams: Mapping[str, np.ndarray], sizes: Sequence[int], seed: int = 0
) -> tuple[Verdict, dict[str, float]]:
    """A model learns the clips' codes [F, C] and is asked about the quads, whose sides are among the streams: what is won, by the kind
    and the ending of the score."""
    known = {name: Stream(codes, len(codes) / FRAMES) for name, codes in streams.items()}
    train, dev = (tuple(clip.id for clip in part) for part in (parts().train, parts().dev))
    pairs = tuple(pair for quad in quads for pair in quad.pairs())
    names = tuple(dict.fromkeys(name for pair in pairs for name in (pair.right, pair.wrong)))
    alphabet = Alphabet(tuple(sizes), tuple(range(len(sizes))), tuple(range(len(sizes))))
    steps = max(PARTS, budget(sum(known[clip].seconds for clip in train)))
    asked = Examination(Training(layout("depth", len(sizes)), alphabet, known, train, dev, names, FRAMES, seed, steps), pairs)
    verdict = joined(list(examine(asked, asked.steps())))
    shares = dict[str, float]()
    for kind in dict.fromkeys(pair.kind for pair in pairs):
        mine = [pair for pair in pairs if pair.kind == kind]
        shares |= {f"{kind}{end}": share(mine, answers(mine, verdict.margins, n)).value for n, end in enumerate(SCORES)}
    return verdict, shares
