"""bench.tokenize, bench.load_tokens and bench.detokenize: a data set as token streams, read as numpy arrays, and back to audio."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench import registry
from bench.catalog import names
from bench.data.manifests import fetch, open_data
from bench.records.devices import device_of
from bench.tokenized import decoding, encoding
from bench.tokenized.decoding import TokenSet
from bench.tokenized.record import Tokenized

load_tokens = decoding.open_tokens


def tokenize(
    data: str | Path,
    tokenizer: str | Sequence[str],
    out: str | Path,
    layout: str = "flattened",
    *,
    limit: int | None = None,
    piece: float | None = None,
    device: str = "auto",
    seed: int = 0,
    fresh: bool = False,
) -> TokenSet:
    """What `bench tokenize` does: writes shards and vocabulary.json below `out`, or goes on with what is there, and opens them."""
    words = names.tokenizers([tokenizer] if isinstance(tokenizer, str) else list(tokenizer))
    chosen = [Tokenized(word, variant) for word in words for variant in registry.variants_of([word], None)]
    how = encoding.Options(layout, seed, piece, device=device_of(device), fresh=fresh)
    fetch(str(data))
    encoding.tokenize(open_data(str(data), limit, seed=seed), chosen, Path(out), how)
    return load_tokens(Path(out))


def detokenize(tokens: str | Path, out: str | Path, *, device: str = "auto") -> dict[str, list[Path]]:
    """What `bench detokenize` does: a WAV file of every clip below `out`, by the label of each tokenizer that decodes."""
    return decoding.detokenize(Path(tokens), Path(out), device=device_of(device))
