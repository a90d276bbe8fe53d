"""PocketSphinx (BSD-2-Clause), whose package carries its acoustic model of US English, with a language model closed over the transcripts.

It may say the words of the data's own transcripts and no others, each as likely as it comes there, whatever was said before (a unigram
model). So it hears far better than with all of English to choose from, and its error rate is no other recognizer's: it compares
tokenizers on one data set. A word that the package's dictionary lacks has no known sound; it can never be heard, and is counted.
"""

from __future__ import annotations

import hashlib
import math
import re
import tempfile
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bench.api import Clip, UserError
from bench.data.unicode_forms import compared
from bench.evaluators.packages import POCKETSPHINX
from bench.weights.download import sha256_of

if TYPE_CHECKING:
    from pocketsphinx import Decoder

ABOUT = "closed unigram model over the transcripts' words, lower case without punctuation"
DICTIONARY = "cmudict-en-us.dict"
SHORTEST = 410  # samples of its first frame: of less it hears nothing


@dataclass(frozen=True)
class SphinxRecognizer:
    """What a worker process needs to build its decoder."""

    grammar: str  # a language model in ARPA's form
    dictionary: str  # a line a pronunciation
    key: str
    unknown: Mapping[str, int]
    in_workers: bool = True

    def hears(self, language: str) -> bool:
        return language == "en" and bool(self.dictionary)

    def transcribe(self, wav: Tensor, language: str) -> str:
        samples = (wav * 32_768).round().clamp(-32_768, 32_767).to(torch.int16)
        if len(samples) < SHORTEST or not samples.any():  # it finds a word even in digital silence
            return ""
        decode = decoder(self.grammar, self.dictionary)
        decode.start_utt()
        decode.process_raw(samples.numpy().tobytes(), no_search=False, full_utt=True)
        decode.end_utt()
        heard = decode.hyp()
        return heard.hypstr if heard is not None else ""

    def normalise(self, text: str, language: str) -> str:
        return " ".join(spoken(text))


def spoken(text: str) -> list[str]:
    """The words of a text, as the dictionary writes them: small letters without accents, and of signs only apostrophes inside a word."""
    plain = "".join(letter for letter in unicodedata.normalize("NFD", compared(text).lower()) if unicodedata.category(letter) != "Mn")
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", plain)


def files() -> list[Path]:
    """The acoustic model and the dictionary that the package carries; UserError where it is not installed."""
    try:
        from pocketsphinx import get_model_path
    except ImportError as error:
        raise UserError(f"{POCKETSPHINX.needed} ({error}): {POCKETSPHINX.install}") from error
    folder = Path(get_model_path("en-us"))
    return [*sorted(path for path in (folder / "en-us").iterdir() if path.is_file()), folder / DICTIONARY]


def sha256() -> str:
    """Over all that its answers depend on, names and contents."""
    digest = hashlib.sha256()
    for path in files():
        digest.update(f"{path.name} {sha256_of(path)}\n".encode())
    return digest.hexdigest()


def load(clips: Sequence[Clip], device: str) -> SphinxRecognizer:
    """The recognizer of those clips' English words; it works on the CPU, whatever the device."""
    texts = [spoken(clip.text) for clip in clips if clip.domain == "speech" and clip.language == "en"]
    sounds = pronunciations(files()[-1])
    counts = Counter(word for text in texts for word in text)
    known = {word: count for word, count in sorted(counts.items()) if word in sounds}
    grammar = arpa(known, len(texts))
    dictionary = "".join(f"{word}{f'({i})' if i > 1 else ''} {sound}\n" for word in known for i, sound in enumerate(sounds[word], 1))
    words = hashlib.sha256((grammar + dictionary).encode()).hexdigest()
    unknown = {word: count for word, count in counts.most_common() if word not in sounds}
    return SphinxRecognizer(grammar, dictionary, f"pocketsphinx {metadata.version('pocketsphinx')}, words sha256:{words}", unknown)


@lru_cache(maxsize=1)
def pronunciations(path: Path) -> dict[str, list[str]]:
    """Word -> its sounds, of which `word(2)` is another."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        word, _, sound = line.partition(" ")
        found[re.sub(r"\(\d+\)$", "", word)].append(sound.strip())
    return found


def arpa(counts: Mapping[str, int], sentences: int) -> str:
    """A unigram model of how often each word comes, and the end of a sentence."""
    total = sum(counts.values()) + sentences
    lines = [f"{math.log10(count / total):.4f} {word}" for word, count in counts.items()]
    ends = f"{math.log10(max(1, sentences) / max(1, total)):.4f} </s>"
    return "\n".join(["\\data\\", f"ngram 1={len(lines) + 2}", "", "\\1-grams:", "-99 <s>", ends, *lines, "", "\\end\\", ""])


def decoder(grammar: str, dictionary: str) -> Decoder:
    """A decoder for one clip: in its first frames one that was used remembers the clip before, and then hears some words otherwise.

    It takes 30 ms to make. (ptm_mgau.c begins with the best Gaussians of the last frame it saw, and says that does no harm.)
    """
    from pocketsphinx import Decoder, get_model_path

    with tempfile.TemporaryDirectory() as folder:
        model, words = Path(folder, "words.arpa"), Path(folder, "words.dict")
        model.write_text(grammar, encoding="utf-8")
        words.write_text(dictionary, encoding="utf-8")
        # cepstral means are those of the whole clip, as it is there as a whole
        return Decoder(hmm=get_model_path("en-us/en-us"), lm=str(model), dict=str(words), cmn="batch", loglevel="FATAL")
