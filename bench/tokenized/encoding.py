"""Audio -> shards of token streams. A stopped run goes on with the shards that are not there, and ends with the same bytes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from bench import registry
from bench.api import Clip, Data, Reconstruction
from bench.data import RESAMPLER
from bench.engine.codec_stage import WINDOW, reconstructions
from bench.tokenized import record, shards, streams
from bench.tokenized.pieces import in_pieces, limits, loader
from bench.tokenized.record import Tokenized
from bench.tokenized.shards import Form, Row
from bench.tokenized.vocabulary import Vocabulary, vocabulary
from bench.tokens import bpe

Progress = Callable[[str, int, int], None]
SHARD = 4 * WINDOW  # clips: a multiple of what a GPU stage sorts at a time, so that a run that goes on makes the same batches
PAIRS = 4096
LETTERS = 1_000_000  # that byte pairs are learnt on: the first of the data
HIDDEN = ".flattened"


@dataclass(frozen=True)
class Options:
    """How to write: all but the last three are part of what the shards are."""

    layout: str = "flattened"
    seed: int = 0  # of the noise that decoders draw, for the way back
    piece: float | None = None  # s of the pieces that longer clips are cut into, at most; None: what the tokenizer takes
    merges: int = PAIRS  # of the layout bpe
    shard: int = SHARD  # clips
    form: Form = "parquet"
    device: str = "cpu"
    batch: int = 0  # clips in a batch; 0: what is faster on the device
    fresh: bool = False


@dataclass(frozen=True)
class Written:
    """What is there now."""

    folder: Path
    how: Vocabulary
    clips: int
    fresh: int  # coded now, not found
    shards: int
    tokens: int
    seconds: float
    failed: dict[str, str]  # clips -> why


def tokenize(data: Data, tokenizers: Sequence[Tokenized], out: Path, options: Options, progress: Progress | None = None) -> Written:
    """Every clip as tokens, in the data's order, below `out`. UserError for what cannot be, or where `out` holds something else."""
    shards.require()
    named = [replace(one, variant=in_pieces(registry.pinned(one.variant, options.device), options.piece)) for one in tokenizers]
    how = vocabulary(options.layout, [one.variant.spec for one in named])
    if options.fresh and (out / record.NAME).exists():
        record.read(out)  # or it is no folder of ours
        shutil.rmtree(out)
    work = Work(data, named, out, options, progress)
    if how.layout == "bpe":
        return _byte_pairs(work, how)
    record.claim(out, work.made, record.document(how, work.made))
    return work.encode(how)


@dataclass(frozen=True)
class Work:
    """Clips, tokenizers, and the folder of their shards."""

    data: Data
    named: Sequence[Tokenized]
    out: Path
    options: Options
    progress: Progress | None

    @property
    def made(self) -> dict[str, object]:
        """All that the shards depend on."""
        facts = {key: value for key, value in asdict(self.options).items() if key not in ("device", "batch", "fresh")}
        if self.options.layout != "bpe":
            del facts["merges"]
        stated = {"data": self.data.name, "data_sha256": self.data.sha256, "resampler": RESAMPLER}
        return {**facts, **stated, "tokenizers": [record.facts(one) for one in self.named]}

    @property
    def parts(self) -> list[Sequence[Clip]]:
        """The clips of each shard."""
        clips, size = self.data.clips, self.options.shard
        return [clips[start : start + size] for start in range(0, len(clips), size)]

    @property
    def files(self) -> list[Path]:
        """The shards."""
        return [self.out / shards.FOLDER / name for name in shards.names(len(self.parts), self.options.form)]

    def encode(self, how: Vocabulary) -> Written:
        """Codes all that is not there, and writes a shard when its last clip is known."""
        parts, files = self.parts, self.files
        todo = [i for i, file in enumerate(files) if not shards.whole(file)]
        clips = [clip for i in todo for clip in parts[i]]
        home = {clip.id: i for i in todo for clip in parts[i]}
        waiting: dict[int, dict[str, Row]] = {i: {} for i in todo}
        label, before = " + ".join(one.variant.spec.label for one in self.named), len(self.data.clips) - len(clips)
        self._tell(label, before)
        for done, items in enumerate(self._coded(clips), before + 1):
            name = items[0].clip.id
            i = home[name]
            waiting[i][name] = row(items, how)
            if len(waiting[i]) == len(parts[i]):
                found = waiting.pop(i)
                shards.write(files[i], [found[clip.id] for clip in parts[i]])
            self._tell(label, done)
        return self.written(how, len(clips))

    def _tell(self, label: str, done: int) -> None:
        if self.progress:
            self.progress(label, done, len(self.data.clips))

    def _coded(self, clips: Sequence[Clip]) -> Iterator[list[Reconstruction]]:
        """What all tokenizers made of each clip; one that is ahead of the other waits for it."""
        o = self.options
        made = [
            reconstructions(
                one.variant.spec,
                loader(one.variant, o.device),
                clips,
                o.device,
                batch=o.batch,
                decode=False,
                seed=o.seed,
                limits=limits(one.variant.spec),
            )
            for one in self.named
        ]
        known: dict[str, dict[int, Reconstruction]] = {}
        for turn in zip(*made, strict=True):
            for i, item in enumerate(turn):
                own = known.setdefault(item.clip.id, {})
                own[i] = item
                if len(own) == len(made):
                    del known[item.clip.id]
                    yield [own[i] for i in range(len(made))]

    def written(self, how: Vocabulary, fresh: int) -> Written:
        """What is there, counted."""
        tokens, seconds, failed = 0, 0.0, dict[str, str]()
        for file in self.files:
            found = shards.table(file, ("id", "seconds", "tokens", "note"))
            tokens += sum(map(len, found["tokens"]))
            seconds += sum(found["seconds"].to_pylist())
            failed |= {clip: note for clip, note in zip(found["id"].to_pylist(), found["note"].to_pylist(), strict=True) if note}
        return Written(self.out, how, len(self.data.clips), fresh, len(self.files), tokens, seconds, failed)


def row(items: Sequence[Reconstruction], how: Vocabulary) -> Row:
    """A clip, as all tokenizers coded it."""
    clip = items[0].clip
    facts = (clip.id, clip.domain, clip.speaker, clip.text, clip.language, clip.split, clip.sha256)
    if note := "; ".join(dict.fromkeys(item.failure for item in items if item.failure)):
        return Row(*facts, 0.0, np.zeros(0, dtype=np.int32), note)
    return Row(
        *facts,
        seconds=items[0].seconds,
        tokens=streams.tokens([item.codes.numpy() for item in items], how).reshape(-1),
        sample_rate=[item.rate for item in items],
        samples=[item.length for item in items],
        frames=[item.codes.shape[-1] for item in items],
        side=[[] if item.side is None else streams.side_tokens(item.side.numpy(), i, how).tolist() for i, item in enumerate(items)],
        level=[item.level for item in items],
        seams=[list(item.seams) for item in items],
    )


def _byte_pairs(work: Work, how: Vocabulary) -> Written:
    """First all codes, flattened, in a folder that is removed at the end; then the pairs learnt on the first LETTERS of them."""
    hidden = replace(work, out=work.out / HIDDEN, options=replace(work.options, layout="flattened"))
    flat, fresh = vocabulary("flattened", how.specs), 0
    if (work.out / record.NAME).exists():
        record.claim(work.out, work.made, "")
    if not all(map(shards.whole, work.files)):
        record.claim(hidden.out, hidden.made, record.document(flat, hidden.made))
        fresh = hidden.encode(flat).fresh
        learnt = bpe.learn(list(_letters(hidden.files, flat)), bpe.vocabulary(how.specs[0]), work.options.merges)
        size = len(learnt.spelt)
        facts = {"size": size, "letters": learnt.letters, "merges": [list(pair) for pair in learnt.merges], "learnt_on": LETTERS}
        record.claim(work.out, work.made, record.document(how, work.made, facts))
        for source, file in zip(hidden.files, work.files, strict=True):
            shards.write(file, [_respelt(one, flat, how, learnt) for one in shards.rows(source)])
    shutil.rmtree(hidden.out, ignore_errors=True)
    return work.written(how, fresh)


def _letters(files: Sequence[Path], flat: Vocabulary) -> Iterator[np.ndarray]:
    left = LETTERS
    for file in files:
        for one in shards.rows(file):
            found = bpe.letters(streams.codes(one.tokens, flat)[0], flat.specs[0])[:left]
            left -= len(found)
            if len(found):
                yield found
            if not left:
                return


def _respelt(one: Row, flat: Vocabulary, how: Vocabulary, learnt: bpe.Bpe) -> Row:
    codes = streams.codes(one.tokens, flat)
    return one if one.note else replace(one, tokens=streams.tokens(codes, how, learnt))
