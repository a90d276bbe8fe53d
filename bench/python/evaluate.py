"""bench.evaluate and bench.score: what `bench run` and `bench score` do, with Python objects in and Results out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from bench import registry
from bench.api import DOMAINS, Data, Suite, Tokenizer, UserError, Variant
from bench.catalog import names
from bench.data.manifests import fetch, open_data
from bench.engine.run import Options, Progress, Run
from bench.engine.run import run as engine
from bench.engine.worker_pool import start_server
from bench.python.objects import variant_of
from bench.python.results import Results
from bench.python.scored_audio import paired, without_codes
from bench.records import reader
from bench.records.devices import device_of

Named = str | Path | Variant | Tokenizer


def evaluate(
    tokenizers: Named | Sequence[Named],
    suites: str | Sequence[str] = "reconstruction",
    *,
    data: str | Path | None = None,
    limit: int | None = None,
    device: str = "auto",
    results: str | Path = "results",
    seed: int = 0,
    workers: int = 0,
    fresh: bool = False,
    asr_model: str = "",
    speaker_model: str = "",
    quality_model: str = "",
    lm_options: str = "",
    codes_options: str = "",
    probe_options: str = "",
    asr_options: str = "",
    pairs_options: str = "",
    progress: Progress | None = None,
) -> Results:
    """Tokenizers through suites; finished rows in `results` are used again, as `bench run` does.

    `tokenizers`: names ("mimi", "opus@*"), paths ("./my_codec.py"), or objects with encode, decode and a Spec, a torch module among them.
    `data`: a bundled set, a manifest or a folder (None: the suite's own). `progress(label, clips done, clips in all)` is called on the way.
    A clip on which a tokenizer fails is NaN with a note. Raises UserError for what cannot be run.
    """
    variants = _variants(tokenizers)
    how = Options(Path(results), device_of(device), workers, seed, fresh=fresh)
    runs: list[Run] = []
    asked = {"lm": lm_options, "codes": codes_options, "probe": probe_options, "asr": asr_options, "pairs": pairs_options}
    for suite in suites_of(suites, asr_model, speaker_model, quality_model, asked):
        domains = _domains(suite) if limit else DOMAINS
        fetch(str(data or suite.data))
        runs += engine(variants, suite, open_data(str(data or suite.data), limit, domains, seed), how, progress)
    return _results(runs)


def score(
    ref: str | Path,
    est: str | Path | Mapping[str, str | Path],
    suites: str | Sequence[str] = "reconstruction",
    *,
    results: str | Path = "results",
    device: str = "auto",
    seed: int = 0,
    workers: int = 0,
    fresh: bool = False,
    asr_model: str = "",
    speaker_model: str = "",
    quality_model: str = "",
    progress: Progress | None = None,
) -> Results:
    """Audio that is there already: files of `est` against those of `ref` (a folder or a manifest) of the same relative name.

    `est`: a folder, or name -> folder for several, which are then scored on the files that all of them have. See `scored_audio.paired`.
    """
    variants, data, _ = paired(str(ref), est if isinstance(est, Mapping) else {Path(est).resolve().name: est})
    how = Options(Path(results), device_of(device), workers, seed, fresh=fresh)
    return _results(scored(variants, data, suites_of(suites, asr_model, speaker_model, quality_model), how, progress))


def scored(variants: list[Variant], data: Data, suites: Sequence[Suite], how: Options, progress: Progress | None = None) -> list[Run]:
    """Runs of scored audio through suites that need no codes."""
    return [run for suite in suites for run in engine(variants, without_codes(suite), data, how, progress)]


def _variants(tokenizers: Named | Sequence[Named]) -> list[Variant]:
    several: Sequence[Named] = tokenizers if isinstance(tokenizers, list | tuple) else [tokenizers]  # type: ignore[list-item]
    found: list[Variant] = []
    for one in several:
        if isinstance(one, str | Path):
            found += registry.variants_of([str(one)], None)
        else:
            found.append(one if isinstance(one, Variant) else variant_of(one))
    labels = [variant.spec.label for variant in found]
    if twins := {label for label in labels if labels.count(label) > 1}:
        raise UserError(f"two tokenizers are called {', '.join(sorted(twins))}: give them names of their own")
    return found


def suites_of(
    suites: str | Sequence[str],
    asr_model: str,
    speaker_model: str,
    quality_model: str = "",
    asked: Mapping[str, str] = MappingProxyType({}),
) -> list[Suite]:
    """Suites by name, "all" or comma lists, with the models and options that were asked for."""
    chosen = names.chosen_suites([suites] if isinstance(suites, str) else list(suites))
    start_server("bench.metrics", *(f"bench.tasks.{name}" for name in chosen))
    both = f"{asr_model};{speaker_model}" if asr_model or speaker_model else ""
    models = {"asr": asr_model, "speaker": speaker_model, "quality": quality_model, "swap": both}
    loaded = [registry.load_suite(name) for name in chosen]
    judged = [s.with_judge(models[s.name]) if models.get(s.name) and s.with_judge else s for s in loaded]
    return [s.with_asked(asked[s.name]) if asked.get(s.name) and s.with_asked else s for s in judged]


def _domains(suite: Suite) -> tuple[str, ...]:
    return tuple(d for d in DOMAINS if any(d in metric.rates for metric in suite.metrics))


def _results(runs: Sequence[Run]) -> Results:
    return Results(tuple(reader.read(run.folder) for run in runs))
