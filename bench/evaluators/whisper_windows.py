"""Clips that fit into one window of Whisper, transcribed through CTranslate2 many at once, in windows hardly longer than they are.

Whisper's encoder was made for 30 s, and as a rule shorter audio is filled up with silence. Here a clip's window is the shortest of WINDOWS
that holds it and SLACK; clips of one window go through the network together, without marks of time. In a short window Whisper says
things twice more often than in a long one: an answer that repeats itself, that compresses too well, or that the network itself finds
unlikely, is dropped, and the clip is heard again in the full window, whose answer stands. A clip's window depends on the clip alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from faster_whisper import WhisperModel
    from faster_whisper.tokenizer import Tokenizer

RATE, HOP = 16_000, 160  # Hz; samples of a frame
LONGEST = 30.0  # s
WINDOWS = (1000, 2000, 3000)  # frames
SLACK = 100  # frames of silence at least behind a clip that is shorter than the full window
AT_ONCE = 8  # clips
REPEATED = 3  # words that follow themselves at once
COMPRESSED, UNLIKELY, SILENT = 2.4, -1.0, 0.6  # Whisper's own limits: an answer's compression, its mean log probability, and no speech's
MOST_TOKENS = 224  # of an answer: half of what Whisper was made for, as in the package openai-whisper


@dataclass(frozen=True)
class Heard:
    """An answer, and how sure the network is: its mean log probability per token, and how likely nothing was said."""

    text: str
    likely: float
    silent: float

    @property
    def sound(self) -> bool:
        """Whether nothing speaks against it."""
        return self.likely >= UNLIKELY and not repeats(self.text) and compression(self.text) <= COMPRESSED

    @property
    def said(self) -> str:
        """The text; "" where it is no more likely than silence."""
        return "" if self.silent > SILENT and self.likely < UNLIKELY else self.text


def repeats(text: str) -> bool:
    """Whether REPEATED words or more follow themselves at once."""
    words = text.lower().split()
    sizes = range(REPEATED, len(words) // 2 + 1)
    return any(words[i : i + size] == words[i + size : i + 2 * size] for size in sizes for i in range(len(words) - 2 * size + 1))


def compression(text: str) -> float:
    """How many times shorter zlib makes it."""
    from faster_whisper.transcribe import get_compression_ratio

    return get_compression_ratio(text)


def window_of(wav: Tensor) -> int:
    """wav [T] at 16 kHz -> frames of its window."""
    return next((window for window in WINDOWS if window >= len(wav) / HOP + SLACK), WINDOWS[-1])


@dataclass(frozen=True)
class Windows:
    """A model, asked about clips of at most LONGEST s in one language; `workers`: batches at a time."""

    model: WhisperModel
    tokenizer: Tokenizer
    workers: int = 1

    def transcribe(self, wavs: Sequence[Tensor]) -> list[str]:
        """wavs [T] at 16 kHz -> what is said in each."""
        windows = list(map(window_of, wavs))
        alike = [(window, [i for i, own in enumerate(windows) if own == window]) for window in WINDOWS]
        found = {i: heard for i, heard in self._asked(wavs, alike) if heard.sound or windows[i] == WINDOWS[-1]}
        found |= self._asked(wavs, [(WINDOWS[-1], [i for i in range(len(wavs)) if i not in found])])
        return [found[i].said for i in range(len(wavs))]

    def _asked(self, wavs: Sequence[Tensor], alike: Sequence[tuple[int, list[int]]]) -> list[tuple[int, Heard]]:
        """Of clips by their windows, each with its answer."""
        batches = [(window, clips[k : k + AT_ONCE]) for window, clips in alike for k in range(0, len(clips), AT_ONCE)]
        with ThreadPoolExecutor(self.workers) as pool:
            answers = list(pool.map(lambda batch: self._batch(batch[0], [wavs[i] for i in batch[1]]), batches))
        return [pair for (_, clips), heard in zip(batches, answers, strict=True) for pair in zip(clips, heard, strict=True)]

    def _batch(self, window: int, wavs: Sequence[Tensor]) -> list[Heard]:
        from faster_whisper.transcribe import get_ctranslate2_storage, get_suppressed_tokens

        filled = [F.pad(wav, (0, window * HOP - len(wav))).numpy() for wav in wavs]  # with silence, as in training
        features = np.stack([self.model.feature_extractor(wav, padding=0) for wav in filled]).astype(np.float32)
        prompt = [*self.tokenizer.sot_sequence, self.tokenizer.no_timestamps]
        found = self.model.model.generate(
            get_ctranslate2_storage(features),
            [prompt] * len(wavs),
            beam_size=1,
            max_length=min(len(prompt) + MOST_TOKENS, self.model.max_length),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=list(get_suppressed_tokens(self.tokenizer, [-1]) or ()),  # pyright: ignore[reportArgumentType]
        )
        return [self._heard(one.sequences_ids[0], one.scores[0], one.no_speech_prob) for one in found]

    def _heard(self, tokens: list[int], score: float, silent: float) -> Heard:
        """`score`: the mean log probability of the tokens; the end, which is one, too, has cost nothing there."""
        text = self.tokenizer.decode([token for token in tokens if token < self.tokenizer.eot]).strip()
        return Heard(text, score * len(tokens) / (len(tokens) + 1), silent)
