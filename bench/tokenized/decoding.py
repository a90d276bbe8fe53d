"""Shards of token streams -> audio: sample by sample what decode gives for the codes that encode gave."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from bench import registry
from bench.api import Audio, Codes, Tokenizer, UserError, Variant
from bench.data.audio import write
from bench.engine.codec_stage import decoded, levelled, own, threads
from bench.engine.worker_threads import staged
from bench.plugins import boundary
from bench.plugins.calls import seed_of
from bench.records.saved_audio import file_names
from bench.records.writer import folder_name
from bench.tokenized import record, shards, streams
from bench.tokenized.pieces import in_pieces, loader
from bench.tokenized.shards import Row
from bench.tokenized.vocabulary import GRIDS, Vocabulary, vocabulary
from bench.tokens import bpe

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TokenSet:
    """A folder that `bench tokenize` has filled: its vocabulary.json, and its rows in the order of the data."""

    folder: Path
    vocabulary: Mapping
    files: tuple[Path, ...]

    @property
    def columns(self) -> int:
        """Tokens of a position."""
        return self.vocabulary["columns"]

    def rows(self) -> Iterator[Row]:
        """Every clip, `tokens` an int32 array: [n] of a line, [positions, columns] of a grid (bench/tokenized/vocabulary.py)."""
        grid = self.vocabulary["layout"] in GRIDS
        for file in self.files:
            for row in shards.rows(file):
                yield replace(row, tokens=row.tokens.reshape(-1, self.columns)) if grid else row

    def ids(self) -> list[str]:
        """Of every clip that was coded."""
        tables = [shards.table(file, ["id", "note"]).to_pylist() for file in self.files]
        return [row["id"] for rows in tables for row in rows if not row["note"]]


def open_tokens(folder: Path) -> TokenSet:
    """The tokens of a folder. UserError where it holds none, or where a shard is missing."""
    shards.require()
    found = record.read(folder)
    files = sorted((folder / shards.FOLDER).glob(f"train-*.{found['made']['form']}"))
    count = int(files[0].stem.rpartition("-")[2]) if files else 1
    if lacking := sorted(set(shards.names(count, found["made"]["form"])) - {file.name for file in files}):
        raise UserError(f"{folder} lacks {len(lacking)} shards, as {lacking[0]}: end what was begun with the same bench tokenize command")
    return TokenSet(folder, found, tuple(files))


@dataclass(frozen=True)
class Decoder:
    """A tokenizer of a data set, ready to decode its tokens."""

    number: int
    variant: Variant
    how: Vocabulary
    learnt: bpe.Bpe | None
    seed: int
    device: str

    def __call__(self, tokenizer: Tokenizer, row: Row) -> Audio:
        """The audio of a row. UserError where its tokens are no stream of the layout."""
        i, spec = self.number, self.variant.spec
        try:
            codes = torch.from_numpy(streams.codes(row.tokens, self.how, self.learnt)[i])[None]
            side = torch.from_numpy(streams.side_codes(np.array(row.side[i]), i, self.how))[None] if spec.side else None
        except UserError as error:
            raise UserError(f"clip {row.id}: {error}") from error
        rate, length = spec.output_rate or row.sample_rate[i], spec.decoded(row.samples[i])
        given = Codes(*(part.to(self.device) for part in Codes(codes, side).parts))
        try:
            with torch.inference_mode():
                wav = decoded(tokenizer, given, [seed_of(self.seed, row.sha256)], length)[0]
        except (boundary.Failed, ValueError) as error:
            raise UserError(f"clip {row.id}: {spec.label} cannot decode its codes: {error}") from error
        return Audio((wav if spec.keeps_level else levelled(wav, torch.full((1, 1, 1), row.level[i])))[0], rate)


def decoders(found: TokenSet, weights: Path | None = None, device: str = "cpu") -> list[Decoder]:
    """Of every tokenizer that decodes. UserError where they are not those that the tokens are of."""
    made, learnt = found.vocabulary["made"], found.vocabulary.get("bpe")
    variants = []
    for stated in made["tokenizers"]:
        given = registry.variants_of([stated["load"]], weights if len(made["tokenizers"]) == 1 else None)[0]
        variant = in_pieces(registry.pinned(given, device), made["piece"])
        record.refuse_other(stated, variant.spec, variant.code)
        variants.append(variant)
    how = vocabulary(made["layout"], [variant.spec for variant in variants])
    pairs = bpe.Bpe(learnt["letters"], tuple((a, b) for a, b in learnt["merges"])) if learnt else None
    able = [Decoder(i, variant, how, pairs, made["seed"], device) for i, variant in enumerate(variants) if variant.spec.decodes]
    if not able:
        raise UserError(f"{' and '.join(variant.spec.label for variant in variants)} cannot decode: there is no way back to audio")
    return able


def detokenize(
    folder: Path, out: Path, weights: Path | None = None, device: str = "cpu", progress: Progress | None = None
) -> dict[str, list[Path]]:
    """A WAV file (32-bit float) of every clip below `out`, by label; of two tokenizers that decode, each in a folder of its own."""
    found = open_tokens(folder)
    able, ids, written = decoders(found, weights, device), found.ids(), dict[str, list[Path]]()
    names = file_names(ids)
    for decoder in able:
        label = decoder.variant.spec.label
        place = out if len(able) == 1 else out / folder_name(label)
        written[label] = []
        for done, (name, audio) in enumerate(_heard(found, decoder, device), 1):
            write(place / f"{names[name]}.wav", audio.wav, audio.sample_rate)
            written[label].append(place / f"{names[name]}.wav")
            if progress:
                progress(label, done, len(ids))
    return written


def _heard(found: TokenSet, decoder: Decoder, device: str) -> Iterator[tuple[str, Audio]]:
    def work(tokenizer: Tokenizer, row: Row) -> Sequence[tuple[str, Audio]]:
        return [(row.id, decoder(tokenizer, row))]

    whole = (row for row in found.rows() if not row.note)
    return staged(whole, partial(own, loader(decoder.variant, device), device), work, threads(device))
