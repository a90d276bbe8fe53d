"""What a tokenizer keeps in which of its codebooks: codes of one voice with the rest of another's, decoded.

Speech with a transcript and a speaker alone. Each clip (the content) is paired with one of another speaker and another text (the voice).
At k the first k codebooks are the content's and the others are the voice's, begun again where that clip is shorter; side codes are the
last of all to be swapped. An ASR model tells how much of the content's text is heard, a speaker encoder how near the sound is to either
speaker's originals. Where the first codebook holds what is said and the others who says it, the text and the other's voice are both there
at k = 1. Codebooks are in the order in which a language model is given them, semantic ones first; those that share a table, as the columns
of a fast level do, are one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor

from bench.api import CORRELATION, POSITIVE, Audio, Clip, Codes, Domain, Failure, Job, Metric, Mixture, Row, Score, Spec, Suite
from bench.data.audio import BadAudio, read_clip
from bench.evaluators import asr, speaker
from bench.evaluators.asr import AsrJudge, Recognizer, heard
from bench.evaluators.speaker import SpeakerEncoder, SpeakerJudge
from bench.evaluators.texts import characters
from bench.evaluators.voices import Voice, hear
from bench.lm.layouts import order
from bench.metrics import SPEECH
from bench.tokens.swaps import mixed, partners

if TYPE_CHECKING:
    from bench.api import Code, Given, Session

VERSION = 1
DOMAIN: Domain = "speech"
TRIED = (1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24)  # k, as far as there are so many codebooks; 0 and all are the anchors
COLUMNS = {AsrJudge: ("cer",), SpeakerJudge: ("spk_voice", "spk_content")}
WHOLE = "one codebook, and no side codes: there is nothing to swap"


@dataclass(frozen=True)
class Heard:
    """What the tokenizer made of a clip."""

    codes: Codes  # of one item
    length: int
    rate: int
    level: float

    @property
    def seconds(self) -> float:
        return self.length / self.rate


@dataclass(frozen=True)
class Question:
    """What a worker process asks the ASR model about: wav [T] at 16 kHz by k."""

    recognizer: Recognizer
    wavs: dict[str, Tensor]
    language: str


def answers(question: Question, steps: Sequence[str]) -> Iterator[str]:
    """What it hears in each."""
    for step in steps:
        yield question.recognizer.transcribe(question.wavs[step], question.language)


def run(judges: tuple[AsrJudge, SpeakerJudge], session: Session) -> Iterator[list[Row]]:
    """Rows of one clip at a time."""
    pairs = partners(session.data.clips, session.seed)
    groups, steps = parts(session.spec), tried(session.spec)
    names = [column(what, judge.name, step) for judge in judges for what in COLUMNS[type(judge)] for step in ("k1", *steps)]
    todo, needed = [], dict[str, Clip]()
    for clip in session.todo:
        why = WHOLE if len(groups) < 2 and not session.spec.side else _lacks(clip, pairs)
        if clip.domain != DOMAIN or why:
            yield session.clip_rows(clip, {name: Score(math.nan, note=why) for name in names}, 0.0, some=True)
        else:
            todo.append(clip)
            needed |= {clip.id: clip, pairs[clip.id].id: pairs[clip.id]}
    if todo:
        yield from Swaps(judges, session, pairs, groups).rows(todo, list(needed.values()))


def _lacks(clip: Clip, pairs: dict[str, Clip]) -> str:
    """Why a clip cannot be paired."""
    if clip.id in pairs:
        return ""
    return "no clip of another speaker with another text" if clip.text and clip.speaker else "no transcript, or no speaker, in the manifest"


def parts(spec: Spec) -> list[list[int]]:
    """The codebooks (their rows in codes) that are swapped together, in their order."""
    tables = {k: table for table in spec.tables for k in table}
    return [list(table) for table in dict.fromkeys(tables[k] for k in order(spec))]


def tried(spec: Spec) -> list[str]:
    """Every k of a tokenizer, as columns say it: none, some, and all of the content."""
    swapped = len(parts(spec)) + bool(spec.side)
    return ["k0", *(f"k{k}" for k in TRIED if k < swapped), "all"]


class Swaps:
    """Pairs of clips in the hands of a run."""

    def __init__(self, judges: tuple[AsrJudge, SpeakerJudge], session: Session, pairs: dict[str, Clip], groups: list[list[int]]):
        clips = tuple(clip for clip in session.data.clips if clip.domain == DOMAIN)
        self.session, self.pairs, self.groups, self.names = session, pairs, groups, (judges[0].name, judges[1].name)
        self.recognizer: Recognizer = asr.loaded(judges[0], clips, session.device)
        self.encoder: SpeakerEncoder = speaker.loaded(judges[1], session.device)
        self.steps = tried(session.spec)
        self.originals: dict[str, Voice] = {}

    def rows(self, todo: Sequence[Clip], needed: Sequence[Clip]) -> Iterator[list[Row]]:
        """Of every clip, when all of its mixtures were heard."""
        heard = {trial.clip.id: trial.result or Failure(trial.failure) for trial in self.session.trials(_coded, needed)}
        for (clip, sounds, asked), texts in self._asked(self._sounds(todo, heard)):
            known = sounds | dict(zip(asked, texts, strict=True))
            own = heard[clip.id]
            scores = dict[str, Score]()
            for step in self.steps:
                scores |= self._scores(clip, step, sounds[step], known[step])
            yield self.session.clip_rows(clip, scores, own.seconds if isinstance(own, Heard) else 0.0, some=True)

    def _sounds(self, todo: Sequence[Clip], heard: dict[str, Heard | Failure]) -> Iterator[tuple[Clip, dict[str, Audio | Failure]]]:
        """What was decoded of each clip, by k."""

        def mixtures() -> Iterator[Mixture[tuple[str, str]]]:
            for clip in able:
                content, voice = heard[clip.id], heard[self.pairs[clip.id].id]
                assert isinstance(content, Heard) and isinstance(voice, Heard)
                for step in self.steps:
                    codes = mixed(content.codes, voice.codes, self._taken(step), step == "all")
                    yield Mixture((clip.id, step), clip, codes, content.length, content.rate, content.level)

        able = []
        for clip in todo:
            failed = [h for h in (heard[clip.id], heard[self.pairs[clip.id].id]) if isinstance(h, Failure)]
            if failed:
                yield clip, dict.fromkeys(self.steps, failed[0])
            else:
                able.append(clip)
        by_id, waiting = {clip.id: clip for clip in able}, dict[str, dict[str, Audio | Failure]]()
        for (name, step), found in self.session.decodings(mixtures()):
            own = waiting.setdefault(name, {})
            own[step] = found
            if len(own) == len(self.steps):
                yield by_id[name], waiting.pop(name)

    def _taken(self, step: str) -> list[int]:
        """The codebooks that are the content's."""
        return [book for group in (self.groups if step == "all" else self.groups[: int(step[1:])]) for book in group]

    def _asked(
        self, sounds: Iterator[tuple[Clip, dict[str, Audio | Failure]]]
    ) -> Iterator[tuple[tuple[Clip, dict[str, Audio | Failure], tuple[str, ...]], list[str | Failure]]]:
        """What the ASR model hears in those that were decoded."""
        refused = "the ASR model does not support {!r}: try --asr-model base"

        def jobs() -> Iterator[Job]:
            for clip, own in sounds:
                asked = {k: heard(audio) for k, audio in own.items() if isinstance(audio, Audio) and self.recognizer.hears(clip.language)}
                yield Job((clip, own, tuple(asked)), Question(self.recognizer, asked, clip.language), tuple(asked))

        answered = self.session.answers(answers, jobs()) if self.recognizer.in_workers else map(_here, jobs())
        for (clip, own, asked), texts in answered:
            unheard = {} if self.recognizer.hears(clip.language) else dict.fromkeys(own, Failure(refused.format(clip.language)))
            yield (clip, own | unheard, asked), texts

    def _scores(self, clip: Clip, step: str, sound: Audio | Failure, text: str | Audio | Failure) -> dict[str, Score]:
        """Of one mixture."""
        recognizer, (by, to) = self.recognizer, self.names
        wanted = recognizer.normalise(clip.text, clip.language)
        if isinstance(text, Failure) or not isinstance(text, str) or not wanted:
            cer = Score(math.nan, note=text.note if isinstance(text, Failure) else "the normalised transcript is empty")
        else:
            found = characters(wanted, recognizer.normalise(text, clip.language))
            cer = Score(found.count / found.length, found.length)
        scores = {column("cer", by, step): cer}
        for what, original in (("spk_voice", self.pairs[clip.id]), ("spk_content", clip)):
            scores[column(what, to, step)] = self._likeness(sound, original)
        return scores

    def _likeness(self, sound: Audio | Failure, original: Clip) -> Score:
        if isinstance(sound, Failure):
            return Score(math.nan, note=sound.note)
        ours, theirs = hear(self.encoder, sound, self.session.device, "mixture"), self._original(original)
        if ours.vector is None or theirs.vector is None:
            return Score(math.nan, note=ours.note or theirs.note)
        return Score(float(ours.vector @ theirs.vector))

    def _original(self, clip: Clip) -> Voice:
        if clip.id not in self.originals:
            try:
                self.originals[clip.id] = hear(self.encoder, read_clip(clip), self.session.device, "original")
            except BadAudio as error:
                self.originals[clip.id] = Voice(None, str(error))
        return self.originals[clip.id]


def _coded(code: Code, given: Given) -> Heard | Failure:
    coded = code(given.wav[None], False)
    if coded.failure:
        return Failure(coded.failure)
    level = float(given.wav.square().mean().sqrt().half())
    return Heard(Codes(coded.codes, coded.side), given.wav.shape[-1], given.rate, level)


def _here(job: Job) -> tuple:
    return job.key, list(answers(job.payload, job.steps))


def column(what: str, judge: str, step: str) -> str:
    """`swap_cer_pocketsphinx_closed` at k = 1, which is what the suite is about; `..._k2`, `..._all` at others."""
    return f"swap_{what}_{judge}" + ("" if step == "k1" else f"_{step}")


def metrics(judges: tuple[AsrJudge, SpeakerJudge]) -> tuple[Metric, ...]:
    """The columns of two judges."""
    told = {
        "k0": "nothing of the content: the anchor below",
        **{f"k{k}": f"codebook{'s 1 to' if k > 1 else ''} {k} of the content, the rest of another voice" for k in TRIED},
        "all": "all of the content: the anchor above",
    }
    found = []
    for step in ("k1", "k0", *(f"k{k}" for k in TRIED[1:]), "all"):
        anchor = step in ("k0", "all")
        cer, voice, content = column("cer", judges[0].name, step), *(column(w, judges[1].name, step) for w in ("spk_voice", "spk_content"))
        better = ("", "", "") if anchor else ("lower", "higher", "lower")
        found += [
            Metric(
                cer, "share", better[0], SPEECH, 0.005, None, f"character errors against the content's text; {told[step]}", span=POSITIVE
            ),
            Metric(voice, "cosine", better[1], SPEECH, 0.005, None, f"likeness to the other voice; {told[step]}", span=CORRELATION),
            Metric(
                content, "cosine", better[2], SPEECH, 0.005, None, f"likeness to the content's own voice; {told[step]}", span=CORRELATION
            ),
        ]
    return tuple(found)


def suite(judges: tuple[AsrJudge, SpeakerJudge]) -> Suite:
    """The suite with those judges."""

    def prepare() -> None:
        if judges[0].prepare:
            judges[0].prepare()
        speaker.loaded(judges[1], "cpu")

    names = (judges[0].name, judges[1].name, judges[1].name)
    columns = zip(("cer", "spk_voice", "spk_content"), names, strict=True)
    headline = tuple(column(what, name, step) for what, name in columns for step in ("k1", "k0", "all"))
    return Suite(
        name="swap",
        version=VERSION,
        about="what the first codebooks hold: codes of one voice with the rest of another's, decoded",
        metrics=metrics(judges),
        data="mini",
        run=partial(run, judges),
        needs_codes=True,
        judge=f"{judges[0].label}; {judges[1].label}",
        halves=True,
        with_judge=lambda names: suite(_named(judges, names)),
        prepare=prepare,
        headline=headline,
        overview=(headline[0], headline[3]),
    )


def _named(judges: tuple[AsrJudge, SpeakerJudge], names: str) -> tuple[AsrJudge, SpeakerJudge]:
    """`ASR MODEL;SPEAKER MODEL`, where a name that is left out stands for what was there."""
    first, _, second = names.partition(";")
    return asr.judge(first) if first else judges[0], speaker.judge(second) if second else judges[1]


SUITE = suite((asr.pocketsphinx(), speaker.DEFAULT))
