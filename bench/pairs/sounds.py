"""The pairs of a corpus of a closed language, and their sounds as clips that a tokenizer can be given."""

from __future__ import annotations

import hashlib
import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from bench.api import Clip, UserError
from bench.data.alignments import Phone
from bench.data.audio import BadAudio, read_clip, resample, to_channels
from bench.data.manifests import open_data
from bench.lm.splits import Split
from bench.pairs import agreement, consistency, lexicon, words
from bench.pairs.pieces import RATE, Reading, reading
from bench.pairs.quads import Pair, Quad

NOISES = "mini"  # whose general sounds are the backgrounds


@dataclass(frozen=True)
class Sounds:
    """Pairs, the clips of their sounds by name, and the phones of each; where there are none, `about` says why."""

    pairs: tuple[Pair, ...]
    clips: dict[str, Clip]
    phones: dict[str, tuple[Phone, ...]]
    about: str = ""

    def beside(self, other: Sounds) -> Sounds:
        """Both; where there are none here, those of the other."""
        return Sounds(self.pairs + other.pairs, self.clips | other.clips, self.phones | other.phones)


def embedded(parts: Split, folder: Path, seed: int) -> Sounds:
    """Made of the clips of the test, and of those that stop the learning, whose phones are known and whose words are in the lexicon.

    What is asked of words is asked of voices of the test alone; what is asked of voices and rooms, of both.
    """
    found = next((c.alignment.parent / lexicon.FILE for c in parts.test if c.alignment), None)
    if found is None or not found.is_file():
        return Sounds(
            (), {}, {}, f"its clips have no phone times with a {lexicon.FILE} beside them: give --data grammar, or a corpus like it"
        )
    language = lexicon.read(found)
    tested, others = _voices(parts.test, language), _voices(parts.dev, language)
    quads = words.quads(tested, language, seed)
    quads += agreement.quads(tested, language, [clip.text for clip in parts.train], seed)
    quads += consistency.quads(tested | others, _noises(), seed)
    return written(quads, folder) if quads else Sounds((), {}, {}, "too few clips of the test have words that the lexicon knows")


def _voices(clips: Sequence[Clip], language: lexicon.Lexicon) -> dict[str, list[Reading]]:
    found: dict[str, list[Reading]] = defaultdict(list)
    for clip in clips:
        try:
            read = reading(clip, language)
        except BadAudio:
            continue  # the tokenizer will be told why
        if read:
            found[clip.speaker].append(read)
    return dict(found)


def _noises() -> dict[str, np.ndarray]:
    found = {}
    for clip in (clip for clip in open_data(NOISES).clips if clip.domain == "general"):
        audio = read_clip(clip)
        found[clip.id] = resample(to_channels(audio.wav, 1), audio.sample_rate, RATE)[0].numpy()
    return found


def written(quads: Iterable[Quad], folder: Path) -> Sounds:
    """As 32-bit float WAV files in a folder."""
    made, folder = Sounds((), {}, {}), folder.absolute()
    pairs: list[Pair] = []
    for quad in quads:
        pairs += quad.pairs()
        for name, sound in quad.sides():
            content = io.BytesIO()
            soundfile.write(content, sound.wave, RATE, format="WAV", subtype="FLOAT")
            path = folder / f"{len(made.clips):05}.wav"
            try:
                path.write_bytes(content.getvalue())
            except OSError as error:
                raise UserError(f"{path}: {error.strerror or error}: sounds of pairs cannot be kept there, set TMPDIR") from error
            made.clips[name] = Clip(name, path, hashlib.sha256(content.getvalue()).hexdigest(), speaker=quad.voice)
            made.phones[name] = sound.phones
    return Sounds(tuple(pairs), made.clips, made.phones)
