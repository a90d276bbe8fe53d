"""tokenizer x suite -> rows. The engine owns speed, failure and resumption; a suite owns meaning.

Every stage runs at once: files are read and resampled, the codec works on its device, worker processes score, this thread writes rows. On a
GPU a suite's metrics may run there, too, many clips at once; then worker processes do what only a CPU can.
"""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import soxr
import torch
from torch import Tensor

from bench import registry
from bench.api import (
    TOKENIZER_FAILED,
    Audio,
    Clip,
    Code,
    Coded,
    Data,
    Domain,
    Failure,
    Given,
    Job,
    Key,
    Metric,
    Mixture,
    Payload,
    Reconstruction,
    Result,
    Row,
    Score,
    Suite,
    Task,
    Tokenizer,
    TokenizerFailed,
    Trial,
    UserError,
    Variant,
    scored_domains,
)
from bench.data.clips import absolute, domains, select
from bench.data.manifests import partners
from bench.engine import scored_audio
from bench.engine.autocast import Lowered, same_codes
from bench.engine.codec_stage import decodings, reconstructions, trials
from bench.engine.worker_pool import WorkerPool
from bench.plugins import pieces
from bench.records import digest, hardware, parquet, provenance
from bench.records.devices import device_of
from bench.records.finished import CPU_SECONDS, SAME_CODES, Run, finished, label
from bench.records.hardware import cores
from bench.records.identity import identity
from bench.records.options import Options
from bench.records.reader import place
from bench.records.saved_audio import SavedAudio
from bench.records.shards import Shard
from bench.records.writer import LAST, Store, folder_of, stated_span
from bench.weights import download

Progress = Callable[[str, int, int], None]
"""Called with (label, clips done, clips in all) as a run goes on."""


class RunSession:
    """The session (`bench.api.Session`) that the engine gives to a suite."""

    def __init__(
        self,
        variant: Variant,
        suite: Suite,
        data: Data,
        store: Store,
        options: Options,
        pool: WorkerPool,
        load: Callable[[], Tokenizer] | None = None,
    ):
        """`load`: where a thread gets its tokenizer, which no other thread may use; None: it is loaded."""
        self.variant, self.suite, self.data, self.store, self.options = variant, suite, data, store, options
        self.spec = variant.spec
        self.seed, self.device, self.fresh, self.metric_seconds = options.seed, options.device, options.fresh, options.metric_seconds
        self.clips, self.whole = options.clips(data), options.shard is None
        done = store.done() if store.clips else set()
        there = {i for i, clip in enumerate(self.clips) if clip.id in done} if done else set()
        self.done: Sequence[Clip] = select(self.clips, sorted(there))
        self.todo: Sequence[Clip] = select(self.clips, (i for i in range(len(self.clips)) if i not in there))
        self.folder = store.folder  # where a suite may keep more than rows
        self.pooled = store.pooled()  # domains whose corpus rows are there already
        self.pool = pool
        self._load = load or partial(registry.load_tokenizer, variant, options.device)
        self._failures: dict[str, str] = {}  # clips on which the tokenizer failed -> why
        self.saved = _saved(variant, suite, data, options)
        self._odd: dict[str, str] = {}  # clip -> what is odd in its file: kept with its rows

    def reconstructions(self, clips: Iterable[Clip]) -> Iterator[Reconstruction]:
        """Clips through the tokenizer, in the order of completion; audio is saved on the way where that was asked for.

        A suite that needs no decode is given none: est has no samples.
        """
        if self.variant.audio is not None:
            for item in scored_audio.reconstructions(self.variant.audio, clips):
                self._odd[item.clip.id] = item.ref.note
                yield item
            return
        partner = partners(self.data.clips) if self.spec.shuffled else None
        decode = self.suite.needs_decode or self.saved is not None
        for item in reconstructions(
            self.spec, self.load, clips, self.device, partner, batch=self.options.batch, decode=decode, seed=self.seed
        ):
            self._notice(item.clip, item.failure)
            self._odd[item.clip.id] = _notes(item.ref.note, pieces.told(self.spec, len(item.seams)))
            if self.saved:
                self.saved.keep(item, _encoded(item.clip, partner))
            yield item

    def trials(self, trial: Callable[[Code, Given], Result], clips: Iterable[Clip]) -> Iterator[Trial[Result]]:
        """What `trial` finds out about each clip, by the thread that owns a tokenizer, in the order of completion."""
        partner = partners(self.data.clips) if self.spec.shuffled else None
        return trials(self.spec, self.load, clips, partial(self._tried, trial), self.device, partner, self.seed)

    def _tried(self, trial: Callable[[Code, Given], Result], code: Code, given: Given) -> Result:
        cuts = 0

        def watched(wav: Tensor, decode: bool, draw: int = 0) -> Coded:
            nonlocal cuts
            cuts = max(cuts, len(pieces.seams(self.spec, wav.shape[-1])))
            coded = code(wav, decode, draw)
            self._notice(given.clip, coded.failure)
            return coded

        found = trial(watched, given)
        self._odd[given.clip.id] = _notes(given.ref.note, pieces.told(self.spec, cuts))
        return found

    def decodings(self, mixtures: Iterable[Mixture[Key]]) -> Iterator[tuple[Key, Audio | Failure]]:
        """Audio [C, T] of codes, by the threads that own a tokenizer, in the order of completion."""
        asked: dict[Key, Clip] = {}

        def watched() -> Iterator[Mixture[Key]]:
            for mixture in mixtures:
                asked[mixture.key] = mixture.clip
                yield mixture

        for key, found in decodings(self.load, watched(), self.device, self.seed):
            if isinstance(found, Failure):
                self._notice(asked[key], found.note)
            yield key, found

    def _notice(self, clip: Clip, failure: str) -> None:
        if not failure.startswith(TOKENIZER_FAILED):
            return
        self._failures[clip.id] = failure
        if self.options.fail_fast:
            raise TokenizerFailed(f"{self.spec.label}: clip {clip.id}: {failure}: stopped, as --fail-fast asks; finished clips are kept")

    @property
    def on_gpu(self) -> bool:
        """Whether the tokenizer runs on another device than the CPU, where metrics may run, too."""
        return torch.device(self.device).type != "cpu"

    def scores(self, task: Task, jobs: Iterator[Job]) -> Iterator[tuple]:
        """(key, scores) of every job, from the worker processes, in the order of completion."""
        return self.pool.map(task, jobs)

    def answers(self, task: Task[Payload, Result], jobs: Iterator[Job[Key, Payload]]) -> Iterator[tuple[Key, list[Result | Failure]]]:
        """The same for results other than scores."""
        return self.pool.ask(task, jobs)

    def expected(self, domain: Domain) -> tuple[Metric, ...]:
        """The suite's metrics that a clip of the domain has."""
        lacking = {"raw": not self.spec.delay, "cut": self.spec.longest is None}  # columns that the tokenizer cannot have
        fitting = (m for m in self.suite.metrics if not any(getattr(m, fact) for fact, lacks in lacking.items() if lacks))
        return tuple(metric for metric in fitting if domain in metric.rates and metric.per == "clip")

    def clip_rows(self, clip: Clip, scores: Mapping[str, Score], seconds: float, some: bool = False) -> list[Row]:
        """The rows of one clip, a row for each expected metric, ended by the one that says it is done.

        `some`: those without a score do not apply to this clip.
        """
        asked = [metric.name for metric in self.expected(clip.domain) if metric.name in scores or not some]
        note = self._failures.get(clip.id) or self._odd.pop(clip.id, "")
        named = {name: scores[name] for name in asked} | {LAST: Score(seconds, note=note)}
        return [Row(clip.id, clip.domain, clip.speaker, name, s.value, s.weight, s.note) for name, s in named.items()]

    def unsaved(self) -> list[Clip]:
        """The clips whose audio --save-audio asks for and that is not there, as this tokenizer makes it."""
        partner = partners(self.data.clips) if self.spec.shuffled else None
        return [clip for clip in self.clips if self.saved and not self.saved.has(clip, _encoded(clip, partner))]

    def lacks_pooled(self) -> bool:
        """Whether rows of the whole corpus are missing."""
        pooled = {domain for metric in self.suite.metrics if metric.per != "clip" for domain in metric.rates}
        return bool(domains(self.data.clips).keys() & pooled - self.pooled)

    def load(self) -> Tokenizer:
        """A tokenizer of the run on its device: one for each codec thread."""
        return self._load()


def _notes(*notes: str) -> str:
    return "; ".join(filter(None, notes))


def _saved(variant: Variant, suite: Suite, data: Data, options: Options) -> SavedAudio | None:
    if options.save_audio is None:
        return None
    facts = identity(variant, suite, data, options)
    made_by = {name: facts[name] for name in ("tokenizer", "code", "seed", "resampler")}
    return SavedAudio(options.save_audio, variant.spec.label, variant.spec.channels, made_by, data.clips, data.name)


def _encoded(clip: Clip, partner: Mapping[str, Clip] | None) -> Clip | None:
    """What a tokenizer is given for a clip."""
    return clip if partner is None else partner.get(clip.id)


def run(variants: list[Variant], suite: Suite, data: Data, options: Options, progress: Progress | None = None) -> Iterator[Run]:
    """Each tokenizer through the suite, one after the other; refuses what cannot work before anything starts."""
    refuse(variants, suite, data, options)
    if suite.prepare:
        suite.prepare()
    variants = [registry.pinned(variant, options.device) for variant in variants]
    if any(variant.file for variant in variants):  # another's code may change the working folder while files are read and written
        options = replace(options, results=options.results.absolute(), save_audio=options.save_audio and options.save_audio.absolute())
        data = replace(data, clips=absolute(data.clips))
    found = {i: done for i, variant in enumerate(variants) if (done := finished(variant, suite, data, options))}
    todo = [variant for i, variant in enumerate(variants) if i not in found]
    for variant in todo:
        facts = identity(variant, suite, data, options)
        if not (folder_of(options.results, suite.name, label(variant), facts) / options.part).exists():
            prepare(variant, options.device)  # first of all: a run that cannot start leaves no trace
    stores = [opened(variant, suite, data, options) for variant in todo]
    total = len(options.clips(data))
    for variant, store in zip(todo, stores, strict=True):
        if store.clips < total:
            prepare(variant, options.device)
    with WorkerPool(options.workers or cores(), options.metric_seconds) as pool:
        if not suite.sweep and any(store.clips < total for store in stores):
            pool.warm()  # not beside what is timed
        for i, variant in enumerate(variants):
            if i in found and progress:
                progress(variant.spec.label, total, total)
            yield found[i] if i in found else _run_one(RunSession(variant, suite, data, stores.pop(0), options, pool), progress)


def refuse(variants: list[Variant], suite: Suite, data: Data, options: Options) -> None:
    """UserError for what can be known to fail beforehand."""
    if suite.sweep and options.workers > 1:
        raise UserError(f"the {suite.name} suite times alone, in one process: leave --workers out")
    heard = scored_domains(suite.metrics)
    if not domains(data.clips).keys() & set(heard):
        raise UserError(f"{data.name} has no clip that the {suite.name} suite could score ({', '.join(heard)}): give other data")
    if options.shard:
        _refuse_shard(options.shard, suite, data)
    for variant in variants:
        if not variant.spec.encodes:
            raise UserError(f"{variant.spec.label} is decode-only, its authors released no encoder: no suite can run it")
        if suite.needs_decode and not variant.spec.decodes:
            raise UserError(f"{variant.spec.label} is encode-only, and the {suite.name} suite needs decoded audio: choose another suite")
        if variant.spec.labelled and not suite.reads_alignments:
            raise UserError(f"{variant.spec.label} has the labels of the clips for codes, which the {suite.name} suite does not read")
        if options.save_audio and not variant.spec.decodes:
            raise UserError(f"{variant.spec.label} is encode-only, no audio to save: leave --save-audio out")
    device_of(options.device)


def refuse_parts(suite: Suite, cure: str) -> None:
    """UserError for a suite that cannot score some clips here and others there."""
    if suite.sweep:
        raise UserError(f"the {suite.name} suite times one machine, alone: {cure}")
    pooled = [metric.name for metric in suite.metrics if metric.per != "clip"]
    if pooled and not suite.merge:
        few = f"{', '.join(pooled[:3])}{' and others' if len(pooled) > 3 else ''}"
        raise UserError(f"the {suite.name} suite makes {few} of all clips at once, which shards cannot give: {cure}")


def _refuse_shard(shard: Shard, suite: Suite, data: Data) -> None:
    refuse_parts(suite, "leave --shard out")
    if shard.of > len(data.clips):
        raise UserError(f"--shard {shard}: {data.name} has {len(data.clips)} clips, so that many shards at most")


def prepare(variant: Variant, device: str = "cpu") -> None:
    """UserError now rather than an hour later where weights or a package are not on this machine, or a file of weights is none.

    One whose sha256 is known here was loaded before; a file of the user's own may be anything.
    """
    if variant.audio is not None:
        return
    for file in variant.files:
        download.locate(file, variant.spec.licence)
    if variant.exact and torch.device(device).type == "cpu":
        lowered = registry.load_tokenizer(variant)
        assert isinstance(lowered, Lowered)
        lowered.prove()
    elif variant.file is None and (not variant.files or any(Path(file.file).is_absolute() for file in variant.files)):
        registry.load_tokenizer(variant)


def record(variant: Variant, suite: Suite, data: Data, options: Options) -> dict[str, object]:
    """Where and when, and how to read the rows: kept beside them, not part of what they are."""
    here = variant.spec.trained_here
    return {
        **({"trained_here": asdict(here)} if here else {}),
        "metrics": [
            {
                **{"name": m.name, "unit": m.unit, "better": m.better, "tolerance": m.tolerance, "per": m.per, "about": m.about},
                "span": stated_span(m),
                **{fact: True for fact in ("fixed", "raw", "cut") if getattr(m, fact)},
            }
            for m in suite.metrics
        ],
        **{key: text for key, text in (("source", variant.spec.source), ("licence", variant.spec.licence)) if text},
        "headline": list(suite.headline),
        "overview": list(suite.overview),
        "commit": provenance.commit(),
        "data_name": data.name,
        "clips": len(options.clips(data)),
        **({"shard": {"number": shard.number, "of": shard.of, "clips": len(data.clips)}} if (shard := options.shard) else {}),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": hardware.record(options.device),
        "packages": {**provenance.packages(), "soxr-library": soxr.__libsoxr_version__},
    }


def opened(variant: Variant, suite: Suite, data: Data, options: Options) -> Store:
    """Where the rows of a run, or of a shard of it, are kept."""
    facts = identity(variant, suite, data, options)
    return Store(options.results, suite.name, label(variant), facts, record(variant, suite, data, options), options.fresh, options.part)


def to_parquet(path: Path, rows: int, pool: WorkerPool) -> list[str]:
    """Writes many finished rows once more, as Parquet; what went wrong."""
    path.with_suffix(".parquet").unlink(missing_ok=True)  # of other rows
    if not parquet.wanted(rows):
        return []
    ((_, found),) = pool.ask(parquet.step, iter([Job("", path, ("write",))]))
    return [f"no rows.parquet beside rows.csv: {result.note}" for result in found if isinstance(result, Failure)]


def score(session: RunSession, progress: Progress | None = None) -> bool:
    """Scores the clips of a run, or of a shard, that have no rows yet, and seals the rows -> whether there was anything to do."""
    store, total = session.store, len(session.clips)
    done = total - len(session.todo)
    report = partial(progress, session.spec.label) if progress else lambda done, total: None
    report(done, total)
    lacking = bool(session.todo) or (not store.sealed if session.options.shard else session.lacks_pooled())
    for rows in session.suite.run(session) if lacking else ():
        store.append(rows)
        done += any(row.metric == LAST for row in rows)
        report(done, total)
    if lacking or not store.sealed:
        store.finish()
    if session.saved:
        for _ in session.reconstructions(session.unsaved()):
            pass
        session.saved.finish()
    first = session.options.shard is None or session.options.shard.number == 1  # merged, the first shard speaks for the run
    if first and session.variant.exact and store.noted(SAME_CODES) is None:
        exact = partial(registry.load_tokenizer, session.variant.exact, session.options.device)
        store.note(SAME_CODES, same_codes(session.spec, session.load, exact, session.data.clips, session.options.device))
    return lacking


def _run_one(session: RunSession, progress: Progress | None) -> Run:
    store, new = session.store, len(session.todo)
    since = time.process_time() + session.pool.cpu_seconds()
    lacking = score(session, progress)
    if lacking:  # of a part alone, as of a run that was stopped in between, it would mislead
        store.note(CPU_SECONDS, time.process_time() + session.pool.cpu_seconds() - since if store.begun else math.nan)
    where = place(hardware.speed(session.options.device)) if session.suite.sweep else ""
    kept = digest.of_rows(store.path, session.suite.metrics)
    written = to_parquet(store.path, kept.rows, session.pool) if lacking else []
    notes = (*(session.saved.notes() if session.saved else ()), *written)
    return Run(session.variant, session.suite, session.data, kept, store.folder, new, where, store.noted(SAME_CODES), notes)
