"""A page of samples, as data and as HTML: clips, their originals, what tokenizers made of them, and the scores of those very clips."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from torch import Tensor

from bench.api import Metric
from bench.data import loudness
from bench.listening import carrier
from bench.records.reader import Kept
from bench.report import formats
from bench.statistics.bootstrap import Summary

TEMPLATES = Path(__file__).parent / "templates"
PLAYER = ("theme.js", "sounds.js", "spectrogram.js", "listen.js")  # the first one runs before anything is shown
TOP_HZ = 16_000  # where pictures end, unless the original ends below

LEVELS = (
    "Level matched: each reconstruction is played with the gain that makes its loudness (ITU-R BS.1770-4, gated, over the whole clip) that "
    "of the original; the gain stands below its picture, and the box switches it off. Where a clip would exceed full scale by that, all of "
    "it, the original included, is played softer by the same amount. Spectrograms are log-mel, of what is played, black being 80 dB below "
    "full scale."
)


@dataclass(frozen=True)
class Sound:
    """One channel of audio beside the page: the name of its file, how it is carried, and its levels in dB."""

    file: str  # relative to the page
    id: str
    how: str
    stored_db: float  # gain that it was stored with
    match_db: float  # gain that makes it as loud as the original; 0 of an original, NaN where one of them is silent
    peak: float  # of what is stored

    def facts(self) -> dict[str, object]:
        """As the page gets it."""
        match = None if math.isnan(self.match_db) else round(self.match_db, 2)
        return {"file": self.file, "id": self.id, "how": self.how, "stored_db": round(self.stored_db, 3), "match_db": match}


@dataclass(frozen=True)
class Shown:
    """A clip of the page; `tracks` by label, the original apart."""

    clip: str
    domain: str
    why: str
    text: str
    seconds: float
    sample_rate: int
    original: Sound
    tracks: Mapping[str, Sound]

    @property
    def trim_db(self) -> float:
        """What all of the clip is played softer by, so that nothing exceeds full scale when levels are matched."""
        heard = [
            sound.peak * 10 ** (((0.0 if math.isnan(sound.match_db) else sound.match_db) - sound.stored_db) / 20) for sound in self.all
        ]
        return min(0.0, -20 * math.log10(max([*heard, 1e-9])))

    @property
    def all(self) -> list[Sound]:
        """The original and the tracks."""
        return [self.original, *self.tracks.values()]


def sound(
    folder: Path, at: str, wav: Tensor, rate: int, bitrate: int = carrier.LOSSLESS, original: tuple[Tensor, int] | None = None
) -> Sound:
    """Writes wav [T] into folder / at, unless it is there; `original`: what its level is matched to."""
    carried = carrier.carry(wav, rate, bitrate)
    match = loudness.match(original[0], wav, original[1], rate) if original else 0.0
    peak = float(wav.abs().max()) * 10 ** (carried.stored_db / 20) if wav.numel() else 0.0
    return Sound(f"{at}/{carrier.write(folder / at, carried)}", carried.id, carried.how, carried.stored_db, match, peak)


def facts(shown: Sequence[Shown], runs: Sequence[Kept], names: Mapping[str, str], columns: Sequence[str] = ()) -> dict[str, object]:
    """What listen.js works on. `names`: label -> what it is called; the scores are those of each clip, in the runs that have it."""
    metrics: dict[str, Metric] = {}
    for run in runs:
        metrics |= {name: run.metrics[name] for name in columns or run.headline if name in run.metrics and name not in metrics}
    per_clip = {name: m for name, m in metrics.items() if m.per == "clip"}
    return {
        "names": [[label, text] for label, text in names.items()],
        "columns": [
            {
                "name": m.name,
                "title": formats.title(m, m.shown_unit),
                "domains": sorted({d for r in runs for d, n in r.scores if n == m.name}),
            }
            for m in per_clip.values()
        ],
        "clips": [
            {
                **{"id": s.clip, "domain": s.domain, "why": s.why, "text": s.text, "seconds": s.seconds, "trim_db": round(s.trim_db, 3)},
                "top_hz": min(TOP_HZ, s.sample_rate // 2),
                "original": s.original.facts(),
                "tracks": {label: t.facts() | {"scores": scores(s, label, runs, per_clip)} for label, t in s.tracks.items()},
            }
            for s in shown
        ],
    }


def scores(shown: Shown, label: str, runs: Sequence[Kept], metrics: Mapping[str, Metric]) -> dict[str, str]:
    """Metric -> the score of that very clip, as text; what is missing is left out."""
    found: dict[str, str] = {}
    for run in runs:
        for name, metric in metrics.items() if run.label == label else ():
            row = run.scores.get((shown.domain, name), {}).get(shown.clip)
            if row is not None and not math.isnan(row.value):
                found.setdefault(name, formats.cell(Summary(row.domain, name, row.value, math.nan, math.nan, 1, 0), metric))
    return found


def render(template: str, scripts: Sequence[str], data: Mapping[str, object], **words: object) -> str:
    """A page of templates/, with its styles and scripts inside; its policy runs these and files beside the page, nothing else."""
    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    texts = [(TEMPLATES / name).read_text(encoding="utf-8").strip() for name in scripts]
    return environment.get_template(template).render(
        facts=data,
        scripts=[Markup(text) for text in texts],
        styles=[Markup((TEMPLATES / "listening.css").read_text(encoding="utf-8").strip())],
        policy=" ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts),
        **words,
    )


def listening(data: Mapping[str, object], title: str, made_by: str, notes: Sequence[str] = (), back: str = "", back_text: str = "") -> str:
    """The page of a player."""
    words = {"title": title, "made_by": made_by, "back": back, "back_text": back_text, "notes": [LEVELS, *notes]}
    return render("listening.html.j2", PLAYER, data, description="Compare tokenizers by ear, level matched and in step.", **words)
