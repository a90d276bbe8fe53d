"""Probes: what small networks learn from tokens alone (word, speaker, characters). Nothing is decoded, no evaluator is asked.

Every column is the mean over SEEDS probes, each trained from scratch with one fixed budget (bench/probe); its controls are trained like it.
`_random` learns from random codes, `_shuffled` from other clips' answers (both should be at `_chance`), `_logmel` from a log-mel
spectrogram in place of codes, `_logmel_shuffled` from it and other clips' answers. If one of a score's probes has not converged, the score
is NaN with a note: a probe that has not learned says nothing about its tokens. Word, speaker and characters are asked of speech; on
request, of each domain by itself, the log-mel spectrogram (`mel`) and labels of the manifest (`label:NAME`).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bench.api import TOKENIZER_FAILED, Clip, Failure, Job, Row, Score, Suite, UserError
from bench.data.audio import BadAudio, read_clip
from bench.probe import outcomes
from bench.probe.answers import mistakes
from bench.probe.columns import columns, domains, headline, score, stem, weight
from bench.probe.inputs import VIEWS, Tokens, heard_as_mel, unprobed, views
from bench.probe.options import LABEL, MEL, Options, parse
from bench.probe.questions import NAMES, Question, ask
from bench.probe.training import BATCH, Outcome, Training, learn

if TYPE_CHECKING:
    from bench.api import Code, Data, Given, Session

VERSION = 1
SEEDS = 3
STEPS: Mapping[str, int] = {"word": 200, "spk": 200, "asr": 400, MEL: 400}
LABEL_STEPS, ROUNDS, MOST_STEPS = 200, 20, 2000  # of a label: at least so many, so many times through the clips, at most so many
OF_TOKENS, OF_DATA = ("", "_random", "_shuffled"), ("_logmel", "_logmel_shuffled")


@dataclass(frozen=True)
class Heard:
    """What the tokenizer made of the clips: tokens by clip id, the seconds of each, and why some have none."""

    tokens: dict[str, list[Tokens]]
    seconds: dict[str, float]
    failures: dict[str, str]


@dataclass(frozen=True)
class Key:
    """Which probe of a run."""

    question: str
    control: str
    seed: int


Probes = Mapping[Key, Outcome | Failure]


def run(options: Options, session: Session) -> Iterator[list[Row]]:
    """Trains all probes, then gives the rows of one clip at a time and the pooled ones. A probe that is on disk is not trained again."""
    questions = _questions(options, session.data)
    asked = {question.domain for question in questions}
    clips = [clip for clip in session.data.clips if clip.domain in asked]
    learned = {clip for question in questions for clip in question.train}
    why = unprobed(session.spec)
    heard = Heard({}, {}, dict.fromkeys((clip.id for clip in clips), why)) if why else _hear(session, clips, learned)
    probes, trained = ({}, False) if why else _probes(session, [question for question in questions if question.possible], clips, heard)
    for clip in session.data.clips if trained else session.todo:  # other probes than those that rows of an earlier run are of
        yield session.clip_rows(clip, _scores(clip, questions, probes, heard), heard.seconds.get(clip.id, 0.0), some=True)
    yield [row for question in questions for row in _pooled(question, probes, why, heard)]


def _questions(options: Options, data: Data) -> list[Question]:
    """Of each domain by itself; UserError for a label that no clip has."""
    known = sorted({name for clip in data.clips for name, _ in clip.labels})
    for name in (question.removeprefix(LABEL) for question in options.questions if question.startswith(LABEL)):
        if name not in known:
            there = f"it has {', '.join(LABEL + one for one in known)}" if known else f'add a field "{LABEL}{name}" to its manifest'
            raise UserError(f"{data.name} has no {LABEL}{name}: {there}")
    there = {clip.domain for clip in data.clips}
    asked = [ask(name, data.clips) for name in NAMES]
    return asked + [ask(name, data.clips, domain) for name in options.questions for domain in domains(name) if domain in there]


def _hear(session: Session, clips: Sequence[Clip], learned: Set[str]) -> Heard:
    """Every clip as it is, and those that some probe learns from in all their views."""
    heard = Heard({}, {}, {})
    dtype = np.min_scalar_type(max(book.size for book in session.spec.codebooks) - 1)

    def tokens(code: Code, given: Given) -> list[Tokens] | Failure:
        found: list[Tokens] = []
        for wav in views(given.wav, given.rate, VIEWS if given.clip.id in learned else 1):
            coded = code(wav[None], False)
            if coded.failure:
                return Failure(coded.failure)
            found.append(Tokens(coded.codes[0].numpy().astype(dtype), wav.shape[-1] / given.rate))
        return found

    for trial in session.trials(tokens, clips):
        heard.seconds[trial.clip.id] = trial.seconds
        if isinstance(trial.result, list):
            heard.tokens[trial.clip.id] = trial.result
        else:
            heard.failures[trial.clip.id] = trial.result.note if trial.result else trial.failure
    return heard


def seeds(session: Session) -> range:
    """Those of a run's probes: no two runs with seeds of their own share one."""
    return range(SEEDS * session.seed, SEEDS * (session.seed + 1))


def _probes(session: Session, questions: Sequence[Question], clips: Sequence[Clip], heard: Heard) -> tuple[Probes, bool]:
    """Every probe, from disk or trained now by the worker processes, the longest first; and whether any of the tokens was trained now."""
    own, shared = session.folder / "probes", outcomes.shared(session.folder.parent, VERSION, session.data, session.seed)
    if session.fresh:
        outcomes.forget(own)
    own = outcomes.without(own, [clip for clip, note in heard.failures.items() if note.startswith(TOKENIZER_FAILED)])
    asked = {question.key: question for question in sorted(questions, key=lambda question: -_steps(question))}
    paths = {
        Key(name, control, seed): (shared if control in OF_DATA else own) / f"{name}{control}-{seed}.json"
        for name in asked
        for control in (*OF_TOKENS, *OF_DATA)
        for seed in seeds(session)
    }
    known = {key: outcomes.read(path) for key, path in paths.items()}
    probes: dict[Key, Outcome | Failure] = {key: outcome for key, outcome in known.items() if outcome}
    missing = [key for key in paths if key not in probes]
    learned = {clip for question in questions for clip in question.train}
    mel = _mel(clips, learned) if any(key.control in OF_DATA or asked[key.question].spectral for key in missing) else {}

    def training(key: Key) -> Training:
        question = asked[key.question]
        shuffled, spectra = key.control.endswith("_shuffled"), mel if question.spectral else {}
        made = Training(question, key.seed, _steps(question), shuffled=shuffled, spectra=spectra)
        if key.control in OF_DATA:
            return replace(made, mel=mel)
        return replace(made, tokens=heard.tokens, rate=session.spec.frame_rate, randomised=key.control == "_random")

    for key, (answer,) in session.answers(learn, (Job(key, training(key), ("probe",)) for key in missing)):
        if isinstance(answer, Outcome):
            outcomes.write(paths[key], asked[key.question], answer)
        probes[key] = answer
    return probes, any(key.control in OF_TOKENS for key in missing)


def _steps(question: Question) -> int:
    """The budget: the same for every tokenizer."""
    return STEPS.get(question.name) or min(MOST_STEPS, max(LABEL_STEPS, math.ceil(ROUNDS * len(question.train) / BATCH)))


def _mel(clips: Sequence[Clip], learned: Set[str]) -> dict[str, list[np.ndarray]]:
    """Log-mel of every clip that can be read, in as many views as tokens."""
    found: dict[str, list[np.ndarray]] = {}
    for clip in clips:
        try:
            found[clip.id] = heard_as_mel(read_clip(clip), VIEWS if clip.id in learned else 1)
        except BadAudio:
            continue  # its own rows say so, with the tokenizer's reason
    return found


def _of(probes: Probes, question: str, control: str) -> list[Outcome | Failure]:
    """In the order of their seeds, whichever was done first."""
    chosen = [key for key in probes if (key.question, key.control) == (question, control)]
    return [probes[key] for key in sorted(chosen, key=lambda key: key.seed)]


def _scores(clip: Clip, questions: Sequence[Question], probes: Probes, heard: Heard) -> dict[str, Score]:
    """The scores of one clip: none where every question has it among the clips to learn from."""
    return {
        f"{score(question.name)}{control}": _score(clip.id, question, _of(probes, question.key, control), control, heard)
        for question in questions
        if clip.id in question.test
        for control in (*OF_TOKENS, *OF_DATA)
    }


def _score(clip: str, question: Question, probes: Sequence[Outcome | Failure], control: str, heard: Heard) -> Score:
    """The mean of a clip's scores over the seeds; its weight is the characters of its text, its variance, or 1."""
    if why := _unusable(probes, control):
        return Score(math.nan, note=why)
    trained = [probe for probe in probes if isinstance(probe, Outcome)]
    if not trained or any(clip not in probe.answers for probe in trained):
        return Score(math.nan, note=heard.failures[clip])
    found = [mistakes(question, question.test[clip], probe.answers[clip]) for probe in trained]
    length = found[0][1]
    if not length:
        return Score(math.nan, note="every band is at its mean all the time")
    error = sum(errors for errors, _ in found) / len(found) / length
    return Score(error if question.sequence else 1 - error, length)


def _unusable(probes: Sequence[Outcome | Failure], control: str) -> str:
    """Why the probes of a question and control give no score; "" where they do. Probes that have nothing to learn need not converge."""
    failures = [probe.note for probe in probes if isinstance(probe, Failure)]
    if failures:
        return failures[0]
    astray = [probe.train_error for probe in probes if isinstance(probe, Outcome) and not probe.converged]
    if astray and control in ("", "_logmel"):
        what = "log-mel" if control else "the tokens"
        return f"{len(astray)} of {len(probes)} probes of {what} did not converge (error {max(astray):.2f} on the training clips)"
    return ""


def _pooled(question: Question, probes: Probes, why: str, heard: Heard) -> list[Row]:
    """The rows of a question that are of no single clip."""
    name = stem(question.name)
    own = _of(probes, question.key, "")
    trained = [probe for probe in own if isinstance(probe, Outcome)]
    if not trained:
        note = why or (own[0].note if own and isinstance(own[0], Failure) else question.about)
        return [Row("*", question.domain, "", f"{name}_converged", math.nan, note=note)]
    lost = [heard.failures[clip] for clip in question.train if clip in heard.failures]
    about = question.about + (f"; {len(lost)} training clips are missing ({lost[0]})" if lost else "")
    converged = statistics.mean(probe.converged for probe in trained)
    values = {f"{name}_converged": Score(converged, note=f"{question.name}: {about}")}
    if not _unusable(own, ""):
        values[f"{score(question.name)}_spread"] = Score(statistics.stdev(probe.test_error for probe in trained))
    if question.labels and not question.sequence:
        commonest = statistics.multimode(question.train.values())[0]
        values[f"{name}_chance"] = Score(statistics.mean(right == commonest for right in question.test.values()))
    values[f"{name}_unseen"] = Score(statistics.mean(probe.unseen or 0.0 for probe in trained))
    weights = np.mean([probe.weights for probe in trained], axis=0)
    books = {weight(question.name).of_codebook(k): Score(float(value)) for k, value in enumerate(weights)}
    return [Row("*", question.domain, "", metric, s.value, s.weight, s.note) for metric, s in (values | books).items()]


def suite(options: Options) -> Suite:
    """The suite asked for that."""
    return replace(
        SUITE,
        metrics=(*SUITE.metrics, *(column for question in options.questions for column in columns(question, SEEDS))),
        run=partial(run, options),
        asked=str(options),
        headline=(*SUITE.headline, *(column for question in options.questions for column in headline(question))),
    )


SUITE = Suite(
    name="probe",
    version=VERSION,
    about="what small networks learn from the tokens: word, speaker, characters",
    metrics=tuple(column for question in NAMES for column in columns(question, SEEDS)),
    data="digits",
    run=partial(run, Options()),
    needs_decode=False,
    with_asked=lambda text: suite(parse(text)),
    headline=tuple(column for question in NAMES for column in headline(question)),
    overview=(score("word"), score("spk")),
)
