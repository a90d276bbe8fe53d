"""Renders the embedded corpus `digits` beside this file: audio/*.flac, manifest.jsonl and phones.ctm. Run once; the results are committed.

    python tasks/data/digits/render_digits.py [--to FOLDER]

Ten English digits by ten synthetic voices, three takes of each. A take has a tempo, a pitch and a level of its own, drawn from SEED, so
that no two clips are alike; some voices are others with their pitch and formants moved by resampling. Needs the Debian 12 packages of
the speech of `mini` (see ../mini/render.py), beside numpy, soundfile and soxr. The same versions and SEED give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "mini"))
from render import FLITE, HTS, KED, PHONES, Spoken, Wave, ctm, festival, festival_said, flite, synthesis, trim  # noqa: E402  # what renders `mini`'s speech

SEED = 1
RATE = 16_000
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TAKES = 3
LOUDEST, QUIETEST = -3.0, -12.0  # dBFS of a clip's peak
SLOWEST, PITCH = 1.25, 1.06  # a take is up to so much slower or faster, its voice up to so much higher or lower
EDGE = 0.04  # s kept before and after the word


@dataclass(frozen=True)
class Voice:
    """A voice of an engine, spoken at its own pitch or moved."""

    engine: str  # the name that flite knows it by, or "ked" and "slt_hts" of festival
    licence: str
    moved: float = 1.0  # pitch and formants, by resampling


VOICES = {
    "awb": Voice("awb", FLITE),
    "awb_high": Voice("awb", FLITE, 1.17),
    "kal16": Voice("kal16", FLITE),
    "ked": Voice("ked", KED),
    "ked_high": Voice("ked", KED, 1.2),
    "rms": Voice("rms", FLITE),
    "rms_deep": Voice("rms", FLITE, 0.86),
    "slt": Voice("slt", FLITE),
    "slt_hts": Voice("slt_hts", HTS),
    "slt_hts_deep": Voice("slt_hts", HTS, 0.82),
}


@dataclass(frozen=True)
class Take:
    """One reading of one digit: how slowly, how high and how loud."""

    voice: str
    digit: str
    number: int

    @property
    def id(self) -> str:
        return f"{self.digit}_{self.voice}_{self.number}"

    def drawn(self) -> tuple[float, float, float]:
        """Stretch of time, factor of pitch, peak in dBFS: of this take alone, so that adding another changes none."""
        rng = np.random.default_rng([SEED, zlib.crc32(self.id.encode())])
        stretch, pitch = np.exp(rng.uniform(-1, 1, 2) * np.log((SLOWEST, PITCH)))
        return float(stretch), float(pitch), float(rng.uniform(QUIETEST, LOUDEST))


def speak(takes: list[Take], engine: str, folder: Path) -> Iterator[tuple[Take, Spoken]]:
    """Each take as the engine speaks it, at the engine's rate: its tempo so that it is right once the pitch is moved."""
    stretches = {take: take.drawn()[0] * take.drawn()[1] * VOICES[take.voice].moved for take in takes}
    paths = {take: folder / f"{take.id}.wav" for take in takes}
    if engine not in ("ked", "slt_hts"):
        for take in takes:
            yield take, flite(engine, take.digit, paths[take], "--setf", f"duration_stretch={stretches[take]}")
        return
    if engine == "ked":
        setup, pace = "(voice_ked_diphone)", "(Parameter.set 'Duration_Stretch pace)"
    else:
        setup = "(begin (voice_cmu_us_slt_arctic_hts) (set! plain hts_engine_params))"
        pace = '(set! hts_engine_params (cons (list "-r" (/ 1 pace)) plain))'
    lines = [line for take in takes for line in (f"(set! pace {stretches[take]})", pace, synthesis(take.digit, paths[take]))]
    festival([setup, *lines])
    for take in takes:
        yield take, festival_said(paths[take])


def moved(take: Take, spoken: Spoken) -> Spoken:
    """At the pitch of its voice and take, trimmed, at RATE."""
    _, pitch, _ = take.drawn()
    return trim(spoken.played(spoken.rate * pitch * VOICES[take.voice].moved, RATE), EDGE)


def master(take: Take, wave: Wave) -> NDArray[np.int16]:
    """Faded over 10 ms, at its level, in 16 bits with triangular dither, [T] at RATE."""
    _, _, level = take.drawn()
    wave = wave - wave.mean()
    ramp = np.hanning(RATE // 50)[: RATE // 100]
    wave[: len(ramp)] *= ramp
    wave[-len(ramp) :] *= ramp[::-1]
    dither = np.random.default_rng([SEED, zlib.crc32(take.id.encode()), 1]).uniform(-0.5, 0.5, (2, len(wave))).sum(0)
    return np.round(wave / np.abs(wave).max() * 10 ** (level / 20) * 32_768 + dither).astype(np.int16)


def write(take: Take, samples: NDArray[np.int16], folder: Path) -> dict[str, object]:
    """The FLAC file, and its line of the manifest."""
    path = folder / "audio" / f"{take.id}.flac"
    soundfile.write(path, samples, RATE, subtype="PCM_16", compression_level=1.0)
    return {
        "path": f"audio/{path.name}",
        "id": take.id,
        "domain": "speech",
        "speaker": take.voice,
        "text": take.digit,
        "alignment": PHONES,
        "sample_rate": RATE,
        "channels": 1,
        "duration": round(len(samples) / RATE, 3),
        "licence": VOICES[take.voice].licence,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def takes_of(voice: str) -> list[Take]:
    """All takes of a voice."""
    return [Take(voice, digit, number) for digit in DIGITS for number in range(TAKES)]


def main() -> None:
    """Render everything into --to, by default the folder of this file."""
    parser = argparse.ArgumentParser(description="Render the embedded corpus of spoken digits.")
    parser.add_argument("--to", type=Path, default=HERE)
    folder: Path = parser.parse_args().to
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        said = [
            (take, moved(take, spoken))
            for name, voice in VOICES.items()
            for take, spoken in speak(takes_of(name), voice.engine, Path(scratch))
        ]
    lines = [write(take, master(take, spoken.wave), folder) for take, spoken in said]
    (folder / PHONES).write_text("".join(ctm(take.id, spoken.phones) for take, spoken in said), encoding="utf-8")
    (folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
