"""Intelligibility: word and character error rates of an ASR model on the reconstruction.

Speech alone. Original and reconstruction reach the judge in one way: mono, resampled once to 16 kHz. `wer` and `cer` compare with the
manifest's transcript, `wer_*_vs_original` with what the judge heard in the original (also known as dWER). `wer_*_original` is the same
judge on the original, beside every tokenizer; `_delta` is what the reconstruction adds to that, clip by clip. `per`, on request, compares
phones (bench/evaluators/phones.py). A clip's rate is weighted by the words (characters, phones) of its reference: so the mean over clips
is the corpus error rate, and intervals draw clips with their words.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from torch import Tensor

from bench.api import Clip, Domain, Failure, Job, Row, Score
from bench.data import RESAMPLER
from bench.engine.worker_threads import in_order
from bench.evaluators import asr as judges
from bench.evaluators import asr_columns, options
from bench.evaluators.asr import AsrJudge, Recognizer, heard
from bench.evaluators.cache import Answers
from bench.evaluators.evaluated_suite import EvaluatedSuite, Further
from bench.evaluators.phones import check, phones
from bench.evaluators.texts import Errors, characters, words
from bench.evaluators.transcripts import Transcripts

if TYPE_CHECKING:
    from pathlib import Path

    from bench.api import Session, Spec

VERSION = 2
DOMAIN: Domain = "speech"
ORIGINAL, RECONSTRUCTION = "original", "reconstruction"
NAMED = 8  # words that a judge does not know, in a note


@dataclass(frozen=True)
class Question:
    """A clip, as the judge gets it: wav [T] at 16 kHz of each step."""

    recognizer: Recognizer
    wavs: dict[str, Tensor]
    language: str


@dataclass(frozen=True)
class Asked:
    """What is known of a clip while the judge listens."""

    clip: Clip
    seconds: float
    steps: tuple[str, ...]
    known: dict[str, str | Failure]  # what need not be asked


def answers(question: Question, steps: Sequence[str]) -> Iterator[str]:
    """What the judge hears in each."""
    for step in steps:
        yield question.recognizer.transcribe(question.wavs[step], question.language)


def run(judge: AsrJudge, session: Session, phonetic: bool = False) -> Iterator[list[Row]]:
    """Rows of one clip at a time, then what the judge cannot know; with phone errors where they are asked for."""
    clips = tuple(clip for clip in session.data.clips if clip.domain == DOMAIN)
    recognizer = judges.loaded(judge, clips, session.device)
    kept = Answers(f"{judge.label}, {recognizer.key}, asr v{VERSION}, {RESAMPLER}")
    transcripts = Transcripts(session.folder, fresh=not session.done)
    for clip in session.todo:
        if clip.domain != DOMAIN:  # it has no columns here, and need not be encoded
            yield session.clip_rows(clip, {}, 0.0)
    for asked, told in _found(session, recognizer, _jobs(session, recognizer, kept)):
        clip, heard = asked.clip, asked.known | dict(zip(asked.steps, told, strict=True))
        original, reconstruction = heard[ORIGINAL], heard[RECONSTRUCTION]
        if ORIGINAL in asked.steps and isinstance(original, str):
            kept.keep(clip.sha256, original)
        transcripts.keep(
            clip.id, clip.language, clip.text, *(f"({h.note})" if isinstance(h, Failure) else h for h in (original, reconstruction))
        )
        found = scores(judge.name, recognizer, clip, original, reconstruction)
        if phonetic:
            found |= phone_scores(judge.name, recognizer, clip, original, reconstruction)
        yield session.clip_rows(clip, found, asked.seconds)
    transcripts.finish()
    if judge.closed:
        yield [unknown(judge.name, recognizer, clips)]
    if phonetic:
        yield [spelled(judge.name, recognizer, clips)]


def merge(spec: Spec, shards: Sequence[Path], whole: Path) -> list[Row]:
    """Joins the transcripts. No row is missing: which words the judge cannot know each shard tells of all clips."""
    Transcripts.join(shards, whole)
    return []


def _jobs(session: Session, recognizer: Recognizer, kept: Answers) -> Iterator[Job[Asked, Question]]:
    for item in session.reconstructions([clip for clip in session.todo if clip.domain == DOMAIN]):
        known: dict[str, str | Failure] = {}
        wavs: dict[str, Tensor] = {}
        if not recognizer.hears(item.clip.language):
            known = dict.fromkeys(
                (ORIGINAL, RECONSTRUCTION), Failure(f"the ASR model does not support {item.clip.language!r}: try --asr-model base")
            )
        elif item.ref.wav.shape[-1] == 0:
            known = dict.fromkeys((ORIGINAL, RECONSTRUCTION), Failure(item.failure))
        else:
            if isinstance(said := kept.get(item.clip.sha256), str):
                known[ORIGINAL] = said
            else:
                wavs[ORIGINAL] = heard(item.ref)
            if item.failure:
                known[RECONSTRUCTION] = Failure(item.failure)
            else:
                wavs[RECONSTRUCTION] = heard(item.est)
        asked = Asked(item.clip, item.seconds, tuple(wavs), known)
        yield Job(asked, Question(recognizer, wavs, item.clip.language), asked.steps)


def _found(session: Session, recognizer: Recognizer, jobs: Iterator[Job[Asked, Question]]) -> Iterator[tuple[Asked, list[str | Failure]]]:
    if recognizer.in_workers:
        yield from session.answers(answers, jobs)
    elif isinstance(recognizer, judges.ManyAtOnce):
        yield from in_order(groups(jobs, recognizer.at_once), partial(_of_group, recognizer), recognizer.groups)
    else:
        for job in jobs:
            yield job.key, [_here(job.payload, step) for step in job.steps]


def groups(jobs: Iterator[Job[Asked, Question]], size: int) -> Iterator[list[Job[Asked, Question]]]:
    """Jobs, so many at a time."""
    while group := list(islice(jobs, size)):
        yield group


def _of_group(recognizer: judges.ManyAtOnce, group: Sequence[Job[Asked, Question]]) -> list[tuple[Asked, list[str | Failure]]]:
    told = _together(recognizer, group) if recognizer.at_once > 1 else {}
    return [
        (job.key, [told[i, step] if (i, step) in told else _here(job.payload, step) for step in job.steps]) for i, job in enumerate(group)
    ]


def _together(recognizer: judges.ManyAtOnce, group: Sequence[Job[Asked, Question]]) -> dict[tuple[int, str], str]:
    """What is heard in each step of a group's jobs; of what fails together nothing: it is tried one by one."""
    found: dict[tuple[int, str], str] = {}
    for language in dict.fromkeys(job.payload.language for job in group):
        places = [(i, step) for i, job in enumerate(group) if job.payload.language == language for step in job.steps]
        try:
            texts = recognizer.transcribe_all([group[i].payload.wavs[step] for i, step in places], language)
        except (RuntimeError, ValueError):
            continue
        found |= dict(zip(places, texts, strict=True))
    return found


def _here(question: Question, step: str) -> str | Failure:
    try:
        return next(answers(question, (step,)))
    except (RuntimeError, ValueError) as error:  # out of memory on a device, among others: it costs the clip, and is told
        return Failure(f"the ASR model failed: {type(error).__name__}: {' '.join(str(error).split())}")


def scores(name: str, recognizer: Recognizer, clip: Clip, original: str | Failure, reconstruction: str | Failure) -> dict[str, Score]:
    """The scores of one clip, from what was heard in each."""
    said = normalised(
        recognizer, clip.text, clip.language, "the normalised transcript is empty" if clip.text else "no transcript in the manifest"
    )
    before, after = (normalised(recognizer, text, clip.language) for text in (original, reconstruction))
    heard = normalised(recognizer, original, clip.language, "the ASR model outputs no word for the original")
    known, now = errors(words, said, before), errors(words, said, after)
    return {
        f"wer_{name}": rate(now),
        f"cer_{name}": rate(errors(characters, said, after)),
        f"wer_{name}_vs_original": rate(errors(words, heard, after)),
        f"wer_{name}_original": rate(known),
        f"wer_{name}_delta": delta(now, known),
    }


def phone_scores(name: str, recognizer: Recognizer, clip: Clip, original: str | Failure, reconstruction: str | Failure) -> dict[str, Score]:
    """The phone errors of one clip."""
    if clip.language != "en":
        original = reconstruction = Failure("the dictionary knows the sounds of English alone")
    said = normalised(recognizer, clip.text, clip.language, "no transcript in the manifest")
    before, after = (normalised(recognizer, text, clip.language) for text in (original, reconstruction))
    sides = [text if isinstance(text, Failure) else phones(text).symbols for text in (said, before, after)]
    return {f"per_{name}": rate(errors(words, sides[0], sides[2])), f"per_{name}_original": rate(errors(words, sides[0], sides[1]))}


def normalised(recognizer: Recognizer, text: str | Failure, language: str, empty: str = "") -> str | Failure:
    """The text as it is compared; `empty`: why one without words will not do."""
    if isinstance(text, Failure):
        return text
    return recognizer.normalise(text, language) or (Failure(empty) if empty else "")


def errors(count: Callable[[str, str], Errors], reference: str | Failure, heard: str | Failure) -> Errors | Failure:
    """What `count` finds between the two, or why there is nothing to compare."""
    if isinstance(reference, Failure):
        return reference
    return heard if isinstance(heard, Failure) else count(reference, heard)


def rate(found: Errors | Failure) -> Score:
    """Errors by length of the reference."""
    return Score(math.nan, note=found.note) if isinstance(found, Failure) else Score(found.count / found.length, found.length)


def delta(now: Errors | Failure, known: Errors | Failure) -> Score:
    """What the reconstruction adds to the errors on the original, by words of their one reference."""
    if isinstance(now, Failure):
        return rate(now)
    return rate(known) if isinstance(known, Failure) else Score((now.count - known.count) / now.length, now.length)


def unknown(name: str, recognizer: Recognizer, clips: Sequence[Clip]) -> Row:
    """The share of the transcripts' words that a judge of a closed vocabulary can never say, which words, and of how many."""
    total = sum(len(recognizer.normalise(clip.text, clip.language).split()) for clip in clips if recognizer.hears(clip.language))
    missing = sum(recognizer.unknown.values())
    if not total:
        return Row("*", DOMAIN, "", f"oov_{name}", math.nan, 0.0, "no word of any transcript is in the ASR model's dictionary")
    named = ", ".join(list(recognizer.unknown)[:NAMED]) + (", ..." if len(recognizer.unknown) > NAMED else "")
    note = (
        f"{missing} of {total} transcript words are not in the ASR model's dictionary, each counts as an error: {named}" if missing else ""
    )
    return Row("*", DOMAIN, "", f"oov_{name}", missing / total, total, note)


def spelled(name: str, recognizer: Recognizer, clips: Sequence[Clip]) -> Row:
    """The share of the transcripts' words that the dictionary lacks, and which."""
    texts = [phones(recognizer.normalise(clip.text, clip.language)) for clip in clips if clip.language == "en"]
    lacking, total = Counter(word for text in texts for word in text.spelled), sum(text.words for text in texts)
    if not total:
        return Row("*", DOMAIN, "", f"per_{name}_spelled", math.nan, 0.0, "no English transcript in the manifest")
    named = ", ".join(word for word, _ in lacking.most_common(NAMED)) + (", ..." if len(lacking) > NAMED else "")
    count = lacking.total()
    note = f"{count} of {total} transcript words are not in the dictionary and are spelled: {named}" if count else ""
    return Row("*", DOMAIN, "", f"per_{name}_spelled", count / total, total, note)


ASKED = EvaluatedSuite(
    name="asr",
    version=VERSION,
    about="intelligibility: word error rate of an ASR model on the reconstruction",
    metrics=asr_columns.usual,
    run=run,
    prepare=lambda judge: judge.prepare,
    headline=("wer_{}", "cer_{}", "wer_{}_vs_original", "wer_{}_original"),
    known=tuple(judges.JUDGES),
    choose=judges.judge,
    merge=merge,
    halves=True,
    further=Further(options.parse, asr_columns.phonetic, partial(run, phonetic=True), check, ("per_{}",)),
)
suite = ASKED.suite
SUITE = suite(judges.DEFAULT)
