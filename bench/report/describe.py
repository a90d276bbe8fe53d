"""Tokenizers, suites, metrics and data as tables of text, for `bench list` and `bench show`."""

from __future__ import annotations

import glob
import math
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from bench.api import DOMAINS, LEVEL_BITS, Checkpoint, Codebook, Spec, Variant
from bench.catalog import index, names
from bench.data import manifests
from bench.evaluators import packages
from bench.records import reader
from bench.records.writer import folder_name
from bench.report import described_data, marks
from bench.tokens.layouts import CONTEXTS, Layout, layouts
from bench.weights import download, licences

Listing = tuple[tuple[str, ...], list[tuple[str, ...]]]


def tokenizers() -> Listing:
    """Every tokenizer with what it costs."""
    lines = []
    for variant in variants():
        spec = variant.spec
        lines.append(
            (
                spec.label,
                _hz(spec.sample_rate),
                _codebooks(variant),
                number(spec.bitrate / 1000),
                number(spec.tokens_per_s),
                ", ".join(filter(None, (place(variant), "trained by this project" if spec.trained_here else "", asked(variant)))),
            )
        )
    return ("tokenizer", "sample rate", "codebooks", "kbps", "tokens/s", "weights"), lines


def variants() -> list[Variant]:
    """Every tokenizer of the registry, each family's default first."""
    return [variant for family in names.families() for variant in index.family(family).variants.values()]


def suites() -> Listing:
    """Every suite with what it asks."""
    return ("suite", "version", "data", "about"), [(s.name, str(s.version), s.data, s.about) for s in map(index.suite, names.suites())]


def metrics() -> Listing:
    """Every column of every suite with its unit, good direction and the rate that it is evaluated at."""
    lines = []
    for suite in map(index.suite, names.suites()):
        for m in suite.metrics:
            signal = m.name in suite.signals
            rates = ", ".join(f"{domain} {_hz(m.rates[domain])}" if signal else domain for domain in DOMAINS if domain in m.rates)
            lines.append((m.name, suite.name, m.unit, m.better, rates, m.about))
    return ("metric", "suite", "unit", "better", "where", "about"), lines


READY = ("bundled", "downloaded", "none", "untrained")


def available(what: str) -> set[str]:
    """The names that can be used at once: weights here or none needed, packages of the evaluator installed."""
    if what == "tokenizers":
        return {variant.spec.label for variant in variants() if place(variant) in READY}
    ready = {name for name in names.suites() if not (needed := packages.package(name)) or needed.here}
    return {"suites": ready, "data": {name for name in manifests.all_names() if manifests.here(name)}}.get(what) or {
        m.name for name in ready for m in index.suite(name).metrics
    }


def numbers(variant: Variant) -> dict[str, object]:
    """The same facts for programs: plain numbers in Hz and bit/s; null where a rate varies."""
    spec = variant.spec
    rates = {"frame_rate": spec.frame_rate, "tokens_per_s": spec.tokens_per_s, "bitrate": spec.bitrate}
    return {
        "tokenizer": spec.label,
        "family": spec.name,
        "variant": spec.variant,
        "sample_rate": spec.sample_rate,
        "channels": spec.channels,
        **{key: [{"size": book.size, "rate": _finite(book.rate)} for book in getattr(spec, key)] for key in ("codebooks", "side")},
        "bits_once": spec.bits_once,
        "output_rate": spec.output_rate or spec.sample_rate,
        "keeps_level": spec.keeps_level,
        **{key: _finite(rate) for key, rate in rates.items()},
        "causal": spec.causal,
        "decodes": spec.decodes,
        "encodes": spec.encodes,
        "sampled": spec.sampled,
        "longest": spec.longest,
        "context": spec.context,
        "trained": spec.trained,
        "trained_by_this_project": spec.trained_here is not None,
        "weights": spec.weights,
        "available": place(variant),
        "licence": spec.licence,
        "licence_asks": asked(variant),
        "source": spec.source,
        "hub_ids": [name for name, label in names.hub_ids().items() if label == spec.label],
    }


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else value


def data_sets() -> Listing:
    """The data sets that have a name; any manifest or folder is one, too."""
    return described_data.HEADER, described_data.lines()


TABLES: dict[str, Callable[[], Listing]] = {"tokenizers": tokenizers, "suites": suites, "metrics": metrics, "data": data_sets}


def facts(variant: Variant) -> dict[str, str]:
    """One tokenizer, as it stands in its spec; every rate is computed from the codebooks."""
    spec = variant.spec
    return {
        "tokenizer": marks.marked(spec.label, spec.trained_here),
        **({"note": text} if (text := "".join(marks.line([spec.trained_here]))) else {}),
        "sample rate": _rates(spec) + (f", {spec.channels} channels" if spec.channels > 1 else ""),
        "codebooks": _codebooks(variant),
        **({"side codes": _side(spec)} if spec.side else {}),
        "frame rate": "varies, the length of a frame is among its codes" if spec.durations else number(spec.frame_rate) + " Hz",
        "tokens/s": number(spec.tokens_per_s),
        "bitrate": number(spec.bitrate / 1000) + " kbps" + _once(spec),
        **({} if spec.keeps_level else {"level": f"lost by decode: restored from {LEVEL_BITS} bit once, before anything is scored"}),
        **({layout.name: _budget(layout) for layout in layouts(spec)} or {"token budget": "varies, see bench run --suite codes"}),
        **({"tables": _tables(spec)} if len(spec.tables) < len(spec.codebooks) else {}),
        **({"block": f"clips are filled up to whole {spec.block:,} samples"} if spec.block > 1 else {}),
        **({"noise": "drawn by the decoder, by the run's seed and the clip: bench run --seed"} if spec.sampled else {}),
        **({"longest clip": _longest(spec)} if spec.longest is not None else {}),
        "delay": _delay(spec),
        "causal": "yes" if spec.causal else "no",
        **({"search": f"beam search over {spec.beam} code sequences"} if spec.beam > 1 else {}),
        "decodes": "yes" if spec.decodes else "no (encode-only)",
        **({} if spec.encodes else {"encodes": "no (decode-only): its authors released no encoder"}),
        "weights": _weights(variant),
        "licence": (spec.licence or "none stated") + (f" ({told})" if (told := asked(variant)) else ""),
        "source": spec.source or "none stated",
    }


def speed(variant: Variant, results: Path) -> dict[str, str]:
    """What runs of the throughput suite say of it, one line per machine; with random weights it is as fast."""
    spec = variant.spec
    folders = sorted((results / "throughput").glob(f"{glob.escape(folder_name(spec.label))}-*/run.json"))
    runs = [run for run in (reader.read(path.parent) for path in folders) if run.label == spec.label and not run.unfinished]
    runs = [run for run in runs if run.tokenizer["weights"] == spec.weights or not run.trained]
    lines = {_timed_on(run, spec): _speed(run) for run in sorted(runs, key=lambda run: run.record["started"])}  # the latest of each counts
    if not lines:
        return {"speed": f"not measured: bench run --suite throughput --tokenizer {spec.label}"}
    return {"speed" + f" {i}" * (i > 1): f"{line}, on {place}" for i, (place, line) in enumerate(lines.items(), 1)}


def _timed_on(run: reader.Kept, spec: Spec) -> str:
    return run.machine + ("" if run.tokenizer["weights"] == spec.weights else ", with random weights")


def _speed(run: reader.Kept) -> str:
    figures = {row.metric: row.value for row in run.rows if row.clip == "*"}
    hour = "GPU-hour" if run.identity["machine"]["device"] == "cuda" else "CPU-core-hour"
    sides = [f"{number(figures[name])} h of audio {verb}" for name, verb in HOURS.items() if name in figures]
    return f"{' and '.join(sides)} per {hour}, {number(figures['encode_tokens_per_s'])} tokens/s encoded"


HOURS = {"encode_hours_per_device_hour": "encoded", "decode_hours_per_device_hour": "decoded"}


def _longest(spec: Spec) -> str:
    before = f", each with {spec.context:g} s of what comes before" if spec.context else ""
    return f"{spec.longest:g} s; longer ones are cut into pieces{before}: see seam_db of the suite reconstruction"


def _delay(spec: Spec) -> str:
    if not spec.delay:
        return "none stated"
    rate = spec.output_rate or spec.sample_rate
    seconds = f" ({1000 * spec.delay / rate:g} ms)" if rate else ""
    return f"{spec.delay} samples{seconds}, taken out before signals are compared"


def _budget(layout: Layout) -> str:
    """What a layout of the codes costs a language model: positions, audio in contexts of 4k, 32k and 128k of them, vocabulary."""
    fits = ", ".join(f"{name}: {number(layout.seconds(size))} s" for name, size in CONTEXTS.items())
    sizes: Iterable[tuple[int, int]] = Counter(layout.vocabularies).items()
    vocabulary = " + ".join(f"{size:,}" if count == 1 else f"{count} x {size:,}" for size, count in sizes)
    if any(layout.offsets):
        starts = [f"{offset:,}" for offset in layout.offsets]
        vocabulary += ", codebooks from " + ", ".join(starts if len(starts) < 5 else (*starts[:3], "...", starts[-1]))
    return f"{layout.positions(30):,} positions in 30 s ({fits}), vocabulary {vocabulary}"


def _weights(variant: Variant) -> str:
    if not variant.spec.trained:
        return f"untrained, {variant.spec.weights}"
    if not variant.files:
        return variant.spec.weights
    return f"{' and '.join(dict.fromkeys(file.file for file in variant.files))} ({place(variant)}), {variant.spec.weights}"


def asked(variant: Variant) -> str:
    """What the licence of its weights asks of who downloads them, as `no commercial use`; "" where it asks nothing."""
    return licences.terms(variant.spec.licence, any(file.gated for file in variant.files))


def place(variant: Variant) -> str:
    """Where its weights are: `bundled`, `downloaded`, `downloadable`, `user-supplied`, `none` or `untrained`."""
    if not variant.spec.trained:
        return "untrained"
    if not variant.files:
        return "none"
    places = {_place_of(file) for file in variant.files}
    return next(place for place in ("user-supplied", "downloadable", "downloaded", "bundled") if place in places)


def _place_of(file: Checkpoint) -> str:
    present = download.present(file)
    if file.url and file.sha256:  # what could not be proven is never downloaded
        return "downloaded" if present else "downloadable"
    return "bundled" if present and not file.url else "user-supplied"


def _codebooks(variant: Variant) -> str:
    sizes: Iterable[tuple[str, int]] = Counter(_size(c) for c in variant.spec.codebooks).items()
    return " + ".join(f"{count} x {size}" for size, count in sizes)


def _size(book: Codebook) -> str:
    """Its size, the steps of a product code, and its role where one is stated."""
    levels = " = " + "x".join(map(str, book.levels)) if book.levels else ""
    return f"{book.size}{levels}" + (f" {book.role}" if book.role else "")


def _tables(spec: Spec) -> str:
    """The tables of entries, with the rate of their codes."""
    found = [(spec.codebooks[table[0]], len(table)) for table in spec.tables]
    return ", ".join(f"{book.size} entries at {number(count * book.rate)} Hz in {count} streams" for book, count in found)


def _side(spec: Spec) -> str:
    """What is sent beside the codes of the frames, and how often."""
    sizes: Iterable[tuple[str, int]] = Counter(_size(c) for c in spec.side).items()
    rate = spec.side[0].rate
    return " + ".join(f"{count} x {size}" for size, count in sizes) + (f" a chunk, {number(rate)} Hz" if rate else " once an utterance")


def _once(spec: Spec) -> str:
    """What an utterance costs whatever its length, and what that makes of one of 10 s."""
    if not spec.bits_once:
        return ""
    ten = "" if math.isnan(spec.bitrate) else f": {number((spec.bitrate + spec.bits_once / 10) / 1000)} kbps over 10 s"
    return f" and {number(spec.bits_once)} bit once{ten}"


def _rates(spec: Spec) -> str:
    return _hz(spec.sample_rate) + (f" in, {_hz(spec.output_rate)} out" if spec.output_rate else "")


def _hz(rate: int | None) -> str:
    return f"{rate / 1000:g} kHz" if rate else "the clip's own"


def number(value: float) -> str:
    """Four digits, or `varies` of NaN."""
    return "varies" if math.isnan(value) else f"{value:,.4g}" if value < 1e4 else f"{value:,.0f}"
