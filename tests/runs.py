"""Finished runs made of given scores, for tests of what reads them: no codec, no audio."""

from collections.abc import Mapping
from pathlib import Path

from bench.api import Row
from bench.records.reader import Kept
from bench.records.writer import LAST, Store, folder_name, key_of

FACTS = [
    {"name": "quality", "unit": "MOS", "better": "higher", "tolerance": 0.02, "per": "clip", "span": [None, None]},
    {"name": "distance", "unit": "", "better": "lower", "tolerance": 0.01, "per": "clip", "span": [0.0, None]},
    {"name": "wer", "unit": "", "better": "lower", "tolerance": 0.01, "per": "clip", "span": [0.0, None]},
    {"name": "gain_db", "unit": "dB", "better": "zero", "tolerance": 0.1, "per": "clip", "span": [None, None]},
    {"name": "kbps_packed", "unit": "kbit/s", "better": "lower", "tolerance": 0.001, "per": "clip", "span": [None, None]},
    {"name": "entropy", "unit": "kbit/s", "better": "lower", "tolerance": 0.001, "per": "corpus", "span": [None, None]},
    {"name": "trials", "unit": "", "better": "", "tolerance": 1.0, "per": "corpus", "span": [None, None]},
]
Scores = Mapping[str, Mapping[str, float | tuple[float, float]]]
"""Metric -> clip -> value, or (value, weight). Clip `anna/3` is spoken by anna, `3` by nobody named."""


def made(
    label: str,
    scores: Mapping[str, Scores],
    suite: str = "toy",
    weights: str = "none",
    codebooks: list | None = None,
    note: str = "silent",
    clips: int | None = None,
    record: Mapping = {},
    **identity: object,
) -> Kept:
    """A run with those scores, by domain."""
    name, variant = label.split("@")
    spec: dict[str, object] = {"name": name, "variant": variant, "sample_rate": 16_000, "weights": weights, "decodes": True}
    spec["codebooks"] = codebooks or [[1024, 50.0]]
    facts: dict[str, object] = {"tokenizer": spec, "code": "", "suite": suite, "version": 1, "data": "d" * 64, "seed": 0, "resampler": "r"}
    facts |= identity
    places = sorted({(domain, clip) for domain, metrics in scores.items() for rows in metrics.values() for clip in rows if clip != "*"})
    rows = [
        _row(domain, metric, clip, given, note)
        for domain, metrics in scores.items()
        for metric, by_clip in metrics.items()
        for clip, given in by_clip.items()
    ]
    about = {"metrics": FACTS, "data_name": "toys", "clips": len(places) if clips is None else clips, **record}
    last = [Row(clip, domain, "", LAST, 1.0) for domain, clip in places]
    return Kept(Path(label), {"key": key_of(facts), "identity": facts, **about}, [*rows, *last])


def keep(results: Path, label: str, scores: Mapping[str, Scores], **facts) -> Path:
    """The folder of such a run."""
    run = made(label, scores, **facts)
    about = {key: value for key, value in run.record.items() if key not in ("key", "identity")}
    store = Store(results, run.suite, folder_name(label), dict(run.identity), about)
    store.append(run.rows)
    store.finish()
    return store.folder


def _row(domain: str, metric: str, clip: str, given: float | tuple[float, float], note: str) -> Row:
    value, weight = given if isinstance(given, tuple) else (given, 1.0)
    return Row(clip, domain, clip.split("/")[0] if "/" in clip else "", metric, value, weight, "" if value == value else note)


def speech(values: Mapping[str, list[float]], speakers: int = 0) -> dict[str, dict[str, dict[str, float]]]:
    """Scores of the domain speech: metric -> values of clips 0, 1, ..., of so many speakers in turn (0: nobody is named)."""
    clips = {metric: [f"s{i % speakers}/{i}" if speakers else f"{i}" for i in range(len(v))] for metric, v in values.items()}
    return {"speech": {metric: dict(zip(clips[metric], v, strict=True)) for metric, v in values.items()}}
