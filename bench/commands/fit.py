"""bench train and bench kmeans: weights and codebooks from audio."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import UserError
from bench.commands import arguments
from bench.commands.arguments import clips, positive
from bench.commands.progress import progress
from bench.commands.terminal import several
from bench.records.devices import device_of, refuse_word

if TYPE_CHECKING:
    from bench.commands.arguments import Verbs


TRAIN = """examples:
  bench train encodec --data recordings/ --out run/ --steps 20000
  bench train encodec --data recordings/ --out run/ --resume
  bench train ./my_codec.py --data ready/ --out run/ --recipe recipe.toml"""
KMEANS = """examples:
  bench kmeans mfcc_kmeans@km100 --data recordings/ --out units.safetensors
  bench run --suite codes --tokenizer mfcc_kmeans@km100 --weights units.safetensors"""


def add(verbs: Verbs) -> None:
    """Their words."""
    about = "training recipe of the bundled @mini models; resumable"
    verb = arguments.verb(verbs, "train", train, about, TRAIN)
    about = "mimi, hubert_kmeans, soundstream, ...; its variant mini or trained is made. Or a codec of your own: ./my_codec.py"
    verb.add_argument("tokenizer", metavar="family", help=about)
    verb.add_argument(
        "--data", required=True, metavar="DATA", help="training data: a set's name (bench data list), a manifest.jsonl or a folder"
    )
    arguments.data_root(verb)
    verb.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="output folder: checkpoint.pt, log.jsonl, weights.safetensors, card.md, ..."
    )
    about = "TOML with the values of the recipe that are to differ, or the recipe.json of another run (with --resume: that of DIR)"
    verb.add_argument("--recipe", type=Path, metavar="FILE", help=about)
    verb.add_argument(
        "--steps", type=positive, default=20_000, metavar="N", help="total steps, including those before --resume (default: 20000)"
    )
    about = "initialise from this file instead of randomly; the recipe is then that of further training, if the family has one"
    verb.add_argument("--weights", type=Path, metavar="PATH", help=about)
    verb.add_argument("--new-codebooks", action="store_true", help="with --weights: initialise new codebooks by k-means")
    verb.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    arguments.device(verb)
    verb.add_argument("--resume", action="store_true", help="resume from the checkpoint in DIR")
    verb.add_argument("--save-every", type=positive, default=200, metavar="N", help="steps between checkpoints (default: 200)")

    verb = arguments.verb(verbs, "kmeans", kmeans, "fit the codebook of a k-means tokenizer to any audio (extra: kmeans)", KMEANS)
    verb.add_argument("tokenizer", help="variant to fit, e.g. mfcc_kmeans@km100: its name states features, layer and clusters")
    verb.add_argument("--data", required=True, metavar="DATA", help="a set's name (bench data list), a manifest.jsonl or a folder of audio")
    arguments.data_root(verb)
    verb.add_argument(
        "--out", required=True, type=Path, metavar="FILE", help="output codebook (.safetensors); a .json beside it describes it"
    )
    verb.add_argument("--weights", type=Path, metavar="PATH", help="encoder whose digest is not known here; FILE then holds it, too")
    verb.add_argument("--limit", type=clips, metavar="N", help="only N clips, or a share as 10%%, spread over domains, speakers and texts")
    verb.add_argument(
        "--frames", type=positive, default=1_000_000, metavar="N", help="maximum number of frames, sampled (default: 1000000)"
    )
    verb.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    arguments.device(verb)
    arguments.licence(verb)
    arguments.verbosity(verb)


def train(options: argparse.Namespace) -> int:
    """bench train"""
    family, made = trained(options.tokenizer)
    refuse_word(options.device)
    from bench import registry
    from bench.train import recipe_files
    from bench.train.loop import recipe_of
    from bench.train.loop import train as fit

    o = options
    begun = o.out / recipe_files.KEPT
    file = o.recipe or (begun if o.resume and begun.exists() else None)
    try:
        path = fit(
            family,
            o.data,
            o.out,
            o.steps,
            o.seed,
            device_of(o.device),
            o.resume,
            o.save_every,
            made,
            recipe_files.read(file, recipe_of(family, o.weights, o.new_codebooks)) if file else None,
            weights=o.weights,
            new_codebooks=o.new_codebooks,
        )
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(stopped(o.out, o.resume, o.save_every)) from error
    name = f"{family}@{made}" if made else family
    use = f"run --tokenizer {name}" if registry.variant(name).spec.decodes else f"check {name}"  # units have no audio to score
    print(f"card: {path.with_name('card.md')}")
    print(f"weights: {path}; use them: bench {use} --weights {path}")
    return 0


def stopped(out: Path, resumed: bool, save_every: int) -> str:
    """What is kept of a training that was stopped, and how it goes on."""
    if not (out / "checkpoint.pt").exists():
        return f"no checkpoint was written yet (one every {save_every} steps: --save-every), the same command begins again"
    return f"the last checkpoint is kept in {out}, the same command{'' if resumed else ' with --resume'} goes on from there"


def trained(word: str) -> tuple[str, str]:
    """The family that a word names and its variant that is made; of a codec in a file of its own, the word and ""."""
    from bench.catalog import index, names

    if names.FILE.fullmatch(word):
        return word, ""
    family, _, variant = names.tokenizer(word).partition("@")
    made = "mini" if "mini" in index.family(family).variants else "trained"
    if variant != made and "@" in word:
        raise UserError(f"bench train makes the weights of {family}@{made}, not of {word}: name the family alone")
    return family, made


def kmeans(options: argparse.Namespace) -> int:
    """bench kmeans"""
    from bench.catalog import names
    from bench.data.manifests import told_data

    names.tokenizer(options.tokenizer)
    refuse_word(options.device)
    data = told_data(options.data, options.limit, seed=options.seed)
    from bench import registry
    from bench.train.kmeans import fit

    o, variant = options, registry.variant(options.tokenizer)
    if o.weights and variant.checkpoint not in variant.beside:
        raise UserError(f"{variant.spec.label} needs no file of an encoder: leave --weights out")
    variant = registry.with_weights(variant, o.weights) if o.weights else variant
    with progress(options) as report:
        r = fit(variant, data, o.out, o.seed, device_of(o.device), o.frames, report)
    heard = f"{several(r.frames, 'frame')} of {several(r.clips, 'clip')}"
    print(f"{r.clusters} clusters of {r.dimension} values, fitted to {heard}, {r.seconds:.0f} s")
    print(f"inertia {r.inertia:.4g} a frame, {100 * r.explained:.1f} % of the variance explained")
    print(f"{r.used} of {r.clusters} in use, perplexity {r.perplexity:.1f}, {r.restarted} started again")
    if r.failures:
        print(f"could not be read: {several(r.failures, 'clip')}", file=sys.stderr)
    print(f"codebook: {o.out}" + (f"; use it: bench check {variant.spec.label} --weights {o.out}" if variant.checkpoint else ""))
    return 0
