"""bench tokenize and bench detokenize: a data set as token streams for a language model, and back to audio."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import UserError
from bench.commands import arguments, terminal
from bench.commands.arguments import clips, note, positive
from bench.commands.progress import progress

if TYPE_CHECKING:
    from bench.commands.arguments import Verbs

LAYOUTS = "flattened (default), depth, parallel, delayed, one_late, stages or bpe"
TOKENIZE = """examples:
  bench tokenize recordings/ --tokenizer mimi --out tokens
  bench tokenize mini --tokenizer hubert_kmeans,encodec --layout stages --out tokens    semantic, then acoustic
  python -c "import datasets; print(datasets.load_dataset('tokens')['train'][0]['tokens'])\""""
DETOKENIZE = """examples:
  bench detokenize tokens --out audio"""


def add(verbs: Verbs) -> None:
    """Their words."""
    about = "write a data set as token streams for a language model: Parquet shards and vocabulary.json; resumable (extra: parquet)"
    verb = arguments.verb(verbs, "tokenize", tokenize, about, TOKENIZE)
    verb.add_argument("data", metavar="DATA", help="a set's name (bench data list), a manifest.jsonl or a folder of audio")
    arguments.data_root(verb)
    arguments.tokenizers(verb, "--tokenizer", required=True, about="one, or a semantic and an acoustic one, aligned in time: ")
    verb.add_argument("--layout", default="flattened", metavar="NAME", help=f"how codes become tokens: {LAYOUTS}")
    verb.add_argument("--out", required=True, type=Path, metavar="DIR", help="output folder for data/train-*.parquet and vocabulary.json")
    verb.add_argument("--limit", type=clips, metavar="N", help="only N clips, or a share as 10%%, spread over domains, speakers and texts")
    verb.add_argument(
        "--piece",
        type=_seconds,
        metavar="S",
        help="code longer clips, and files above 600 s, in pieces of at most S seconds (default: none)",
    )
    verb.add_argument("--merges", type=positive, metavar="N", help="byte pairs of --layout bpe (default: 4096)")
    verb.add_argument("--shard", type=positive, metavar="N", help="clips of a shard (default: 256)")
    verb.add_argument("--format", choices=("parquet", "arrow"), default="parquet", help="of the shards (default: parquet)")
    verb.add_argument("--weights", type=Path, metavar="FILE", help="your own checkpoint for the one tokenizer named")
    verb.add_argument("--seed", type=int, default=0, help="random seed, of the noise that decoders draw on the way back (default: 0)")
    verb.add_argument(
        "--batch-size", type=positive, metavar="N", help="clips per batch (default: 1 on a CPU, on a GPU 240 s of audio)", default=0
    )
    arguments.device(verb)
    arguments.licence(verb)
    verb.add_argument("--fresh", action="store_true", help="remove what an earlier run wrote to DIR and begin anew")
    arguments.verbosity(verb)

    about = "decode the token streams of bench tokenize: a WAV file of every clip, sample by sample what the tokenizer decodes"
    verb = arguments.verb(verbs, "detokenize", detokenize, about, DETOKENIZE)
    verb.add_argument("tokens", type=Path, metavar="DIR", help="a folder that bench tokenize has filled")
    verb.add_argument("--out", required=True, type=Path, metavar="DIR", help="output folder for the WAV files")
    verb.add_argument("--weights", type=Path, metavar="FILE", help="the checkpoint that the tokens were made with, if it was your own")
    arguments.device(verb)
    arguments.licence(verb)
    arguments.verbosity(verb)


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a positive number of seconds, not {text!r}")
    return found


def tokenize(options: argparse.Namespace) -> int:
    """bench tokenize"""
    from bench.catalog import names
    from bench.data.manifests import told_data
    from bench.records.devices import device_of, refuse_word

    o = options
    labels = names.tokenizers(o.tokenizer)
    refuse_word(o.device)
    if o.merges and o.layout != "bpe":
        raise UserError(f"--merges belongs to --layout bpe, not to {o.layout}: leave it out")
    from bench import registry
    from bench.plugins.streams import stdout_to_stderr
    from bench.tokenized import encoding
    from bench.tokenized.record import Tokenized

    data, how = told_data(o.data, o.limit, seed=o.seed), encoding.Options()
    variants = [Tokenized(label, variant) for label in labels for variant in registry.variants_of([label], o.weights)]
    asked = encoding.Options(
        o.layout, o.seed, o.piece, o.merges or how.merges, o.shard or how.shard, o.format, device_of(o.device), o.batch_size, o.fresh
    )
    with stdout_to_stderr(), progress(o) as report:
        done = encoding.tokenize(data, variants, o.out, asked, report)
    for why in list(dict.fromkeys(done.failed.values()))[:3]:
        terminal.say(f"{sum(note == why for note in done.failed.values())} of {done.clips} clips have no tokens: {why}", red=True)
    if done.fresh < done.clips:
        note(o, f"already there: {terminal.several(done.clips - done.fresh, 'clip')}")
    length = f"{done.seconds / 3600:.2f} h" if done.seconds >= 3600 else f"{done.seconds:.4g} s"
    many = f"{terminal.several(done.clips - len(done.failed), 'clip')}, {length}, in {terminal.several(done.shards, 'shard')}"
    print(f"{done.tokens:,} tokens of {many}")
    print(
        f"tokens: {done.folder}; what they mean: {done.folder / 'vocabulary.json'}; back to audio: bench detokenize {done.folder} --out DIR"
    )
    return 1 if done.failed else 0


def detokenize(options: argparse.Namespace) -> int:
    """bench detokenize"""
    from bench.records.devices import device_of, refuse_word

    o = options
    refuse_word(o.device)
    from bench.plugins.streams import stdout_to_stderr
    from bench.tokenized import decoding

    with stdout_to_stderr(), progress(o) as report:
        written = decoding.detokenize(o.tokens, o.out, o.weights, device_of(o.device), report)
    for label, files in written.items():
        print(f"{terminal.several(len(files), 'clip')} decoded by {label}: {files[0].parent if files else o.out}")
    return 0
