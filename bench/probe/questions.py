"""What a probe is asked of a data set, and which clips it learns from. No clip is in both parts.

`word`: which of the data's recurring words a clip is. `spk`: which of its speakers. `asr`: the characters of its text. `mel`: its log-mel
spectrogram, frame by frame. `label:NAME`: which value that label of the manifest has. Where the manifest has a `split`, its "train" is
what probes learn from and everything else is the test. Else, by hash of the name, speakers are held out (for characters texts, where
speakers are few), and texts for speakers: what is tested was never said, or never heard.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.api import Clip, Domain
from bench.probe.options import LABEL, MEL
from bench.tokens.alignment import words

SPEECH: Domain = "speech"
NAMES = ("word", "spk", "asr")
HELD_OUT = 0.3  # of the speakers or texts
FEWEST_SPEAKERS = 4  # with fewer, none can be held out
FEWEST = 5  # clips to learn a label from, for there to be such a label
LONGEST_WORD = 2  # words of a text that counts as one: "twenty one"


@dataclass(frozen=True)
class Question:
    """The right answers by clip id: one of the labels; of `asr` a text, of which the labels are the characters; of `mel` "", no words."""

    name: str
    labels: tuple[str, ...]
    train: Mapping[str, str]
    test: Mapping[str, str]
    about: str  # how the clips are split; where there is nothing to test, why the question cannot be asked
    domain: Domain = SPEECH  # of its clips

    @property
    def possible(self) -> bool:
        """Whether the clips can answer it."""
        return bool(self.train and self.test)

    @property
    def sequence(self) -> bool:
        """Whether an answer is a text, rather than one label."""
        return self.name == "asr"

    @property
    def spectral(self) -> bool:
        """Whether an answer is a spectrogram."""
        return self.name == MEL

    @property
    def column(self) -> str:
        """The name in columns."""
        return self.name.replace(":", "_")

    @property
    def key(self) -> str:
        """The name in files: no two questions of a run share one."""
        return self.column if self.domain == SPEECH else f"{self.column}.{self.domain}"


def ask(name: str, clips: Sequence[Clip], domain: Domain = SPEECH) -> Question:
    """The question of that name, about the clips of a domain; without clips to test where they cannot answer it."""
    answer, what = _answer(name)
    clips = [clip for clip in clips if clip.domain == domain and answer(clip)]
    learn, test, how = _split(name, clips)
    if name == MEL:
        labels = ()
    elif name == "asr":
        labels = tuple(sorted({c for clip in learn for c in answer(clip)}))
    else:
        counts = Counter(answer(clip) for clip in learn)
        labels = tuple(sorted(label for label, count in counts.items() if count >= FEWEST))
        learn, test = ([clip for clip in part if answer(clip) in labels] for part in (learn, test))
    if not test or (len(learn) < FEWEST if name == MEL else len(labels) < 2):
        return Question(name, (), {}, {}, f"too few clips with {what}", domain)
    to_learn, to_test = ({clip.id: "" if name == MEL else answer(clip) for clip in part} for part in (learn, test))
    return Question(name, labels, to_learn, to_test, _about(learn, test, how), domain)


def _word(clip: Clip) -> str:
    text = words(clip.text)
    return text if len(text.split()) <= LONGEST_WORD else ""


ANSWERS: Mapping[str, tuple[Callable[[Clip], str], str]] = {
    "word": (_word, f"the same word as their whole text ({FEWEST} to learn it from)"),
    "spk": (lambda clip: clip.speaker, f"the same speaker ({FEWEST} to learn one from)"),
    "asr": (lambda clip: words(clip.text), "a text"),
    MEL: (lambda clip: clip.id, f"audio ({FEWEST} to learn from)"),
}
"""The right answer of a clip, "" where it has none; and what a clip needs to have, in words."""


def _answer(name: str) -> tuple[Callable[[Clip], str], str]:
    if not name.startswith(LABEL):
        return ANSWERS[name]
    return lambda clip: clip.label(name.removeprefix(LABEL)), f"the same {name} ({FEWEST} to learn one from)"


def _split(name: str, clips: Sequence[Clip]) -> tuple[list[Clip], list[Clip], str]:
    """Clips to learn from, clips to test, and how they were told apart."""
    learn = [clip for clip in clips if clip.split == "train"]
    test = [clip for clip in clips if clip.split not in ("", "train")]
    if learn and test:
        return learn, test, "split by the manifest"
    if name == "spk":
        return _hold_out(clips, lambda clip: words(clip.text) or clip.id, "text")
    if len({clip.speaker for clip in clips if clip.speaker}) >= FEWEST_SPEAKERS:
        return _hold_out(clips, lambda clip: clip.speaker or clip.id, "speaker")
    if name == "asr":
        return _hold_out(clips, lambda clip: words(clip.text), "text")
    return _hold_out(clips, lambda clip: clip.id, "clip")


def _hold_out(clips: Sequence[Clip], group: Callable[[Clip], str], kind: str) -> tuple[list[Clip], list[Clip], str]:
    groups = sorted({group(clip) for clip in clips}, key=lambda name: hashlib.sha256(name.encode()).digest())
    held = set(groups[: max(1, round(HELD_OUT * len(groups)))])
    learn, test = ([clip for clip in clips if (group(clip) in held) == tested] for tested in (False, True))
    return learn, test, f"split by {kind}"


def _about(learn: Sequence[Clip], test: Sequence[Clip], how: str) -> str:
    speakers = _new((clip.speaker for clip in learn), (clip.speaker for clip in test), "speakers")
    texts = _new((words(clip.text) for clip in learn), (words(clip.text) for clip in test), "texts")
    return f"{how}: {len(learn)} training clips, {len(test)} to test, {speakers}, {texts}"


def _new(learned: Iterable[str], tested: Iterable[str], what: str) -> str:
    there = {name for name in tested if name}
    return f"{len(there - set(learned))} of {len(there)} {what} new"
