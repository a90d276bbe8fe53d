"""Renders the embedded corpus `grammar` beside this file: audio/*.opus, manifest.jsonl and phones.ctm. Run once; the results are committed.

    python tasks/data/grammar/render_grammar.py [--to FOLDER]

Sentences of the closed language of sentences.py, read by synthetic voices. A reading has a tempo, a pitch and a level of its own, drawn
from SEED; some voices are others with their pitch and formants moved by resampling. Needs the Debian 12 packages of the speech of `mini`
(see ../mini/render.py), beside numpy, av, soundfile and soxr. The same versions and SEED give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from sentences import sentences

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "mini"))
from render import FLITE, HTS, KED, PHONES, Spoken, Wave, ctm, festival, festival_said, flite, synthesis, trim  # noqa: E402  # what renders `mini`'s speech

SEED = 1
RATE = 16_000
KBPS = 24
LEAST = 30  # times that each word comes in what is learned from
HEARD_BY_ALL = {"dev": 28, "test": 30}  # texts that every voice of a part reads; one to learn from is read by one voice
LOUDEST, QUIETEST = -3.0, -12.0  # dBFS of a clip's peak
TEMPO, SLOWEST, PITCH = 0.9, 1.12, 1.06  # the stretch of time; a reading is up to so much slower or faster, and higher or lower
EDGE = 0.04  # s kept before and after the words


@dataclass(frozen=True)
class Voice:
    """A voice of an engine, spoken at its own pitch or moved; the part of the corpus that it reads."""

    engine: str  # the name that flite knows it by, or "ked" and "slt_hts" of festival
    part: str
    moved: float = 1.0  # pitch and formants, by resampling

    @property
    def licence(self) -> str:
        """Of its speech."""
        return {"ked": KED, "slt_hts": HTS}.get(self.engine, FLITE)


VOICES = {
    "awb": Voice("awb", "train"),
    "awb_deep": Voice("awb", "train", 0.87),
    "awb_high": Voice("awb", "train", 1.17),
    "awb_higher": Voice("awb", "train", 1.36),
    "kal16": Voice("kal16", "train"),
    "kal16_high": Voice("kal16", "train", 1.18),
    "kal16_higher": Voice("kal16", "train", 1.4),
    "ked": Voice("ked", "train"),
    "ked_deep": Voice("ked", "train", 0.88),
    "ked_high": Voice("ked", "train", 1.2),
    "ked_higher": Voice("ked", "train", 1.42),
    "rms": Voice("rms", "dev"),
    "rms_high": Voice("rms", "dev", 1.25),
    "slt": Voice("slt", "test"),
    "slt_deep": Voice("slt", "test", 0.84),
    "slt_hts": Voice("slt_hts", "test"),
    "slt_hts_deep": Voice("slt_hts", "test", 0.82),
}


@dataclass(frozen=True)
class Reading:
    """One text read by one voice: how slowly, how high and how loud."""

    id: str
    voice: str
    text: str

    def drawn(self) -> tuple[float, float, float]:
        """Stretch of time, factor of pitch, peak in dBFS: of this reading alone, so that adding another changes none."""
        rng = np.random.default_rng([SEED, zlib.crc32(self.id.encode())])
        stretch, pitch = np.exp(rng.uniform(-1, 1, 2) * np.log((SLOWEST, PITCH)))
        return TEMPO * float(stretch), float(pitch), float(rng.uniform(QUIETEST, LOUDEST))


def readings() -> list[Reading]:
    """All of the corpus, by voice."""
    found = []
    for part in ("train", *HEARD_BY_ALL):
        voices = [name for name, voice in VOICES.items() if voice.part == part]
        texts = [one.text for one in sentences(part, HEARD_BY_ALL.get(part, 0), LEAST if part == "train" else 0, SEED)]
        for i, name in enumerate(voices):
            mine = range(i, len(texts), len(voices)) if part == "train" else range(len(texts))
            found += [Reading(f"{part}_{name}_{number:03}", name, texts[number]) for number in mine]
    return found


def speak(some: list[Reading], engine: str, folder: Path) -> Iterator[tuple[Reading, Spoken]]:
    """Each reading as the engine speaks it, at the engine's rate: its tempo so that it is right once the pitch is moved."""
    stretches = {one: one.drawn()[0] * one.drawn()[1] * VOICES[one.voice].moved for one in some}
    paths = {one: folder / f"{one.id}.wav" for one in some}
    if engine not in ("ked", "slt_hts"):
        for one in some:
            yield one, flite(engine, one.text, paths[one], "--setf", f"duration_stretch={stretches[one]}")
        return
    if engine == "ked":
        setup, pace = "(voice_ked_diphone)", "(Parameter.set 'Duration_Stretch pace)"
    else:
        setup = "(begin (voice_cmu_us_slt_arctic_hts) (set! plain hts_engine_params))"
        pace = '(set! hts_engine_params (cons (list "-r" (/ 1 pace)) plain))'
    lines = [line for one in some for line in (f"(set! pace {stretches[one]})", pace, synthesis(one.text, paths[one]))]
    festival([setup, *lines])
    for one in some:
        yield one, festival_said(paths[one])


def moved(one: Reading, spoken: Spoken) -> Spoken:
    """At the pitch of its voice and reading, trimmed, at RATE."""
    _, pitch, _ = one.drawn()
    return trim(spoken.played(spoken.rate * pitch * VOICES[one.voice].moved, RATE), EDGE)


def master(one: Reading, wave: Wave) -> NDArray[np.int16]:
    """Faded over 10 ms, at its level, in 16 bits with triangular dither, [T] at RATE."""
    _, _, level = one.drawn()
    wave = wave - wave.mean()
    ramp = np.hanning(RATE // 50)[: RATE // 100]
    wave[: len(ramp)] *= ramp
    wave[-len(ramp) :] *= ramp[::-1]
    dither = np.random.default_rng([SEED, zlib.crc32(one.id.encode()), 1]).uniform(-0.5, 0.5, (2, len(wave))).sum(0)
    return np.round(wave / np.abs(wave).max() * 10 ** (level / 20) * 32_768 + dither).astype(np.int16)


def opus(samples: NDArray[np.int16]) -> bytes:
    """Samples [T] at RATE as an Ogg file of Opus, KBPS at variable rate; nothing in it depends on when it was made.

    Of a file of one page libsndfile does not know where the samples end; so pages are shorter than the shortest clip.
    """
    file = io.BytesIO()
    with av.open(file, "w", format="ogg", options={"fflags": "+bitexact", "page_duration": "300000"}) as container:
        stream = container.add_stream("libopus", rate=RATE, layout="mono")
        stream.bit_rate = KBPS * 1000
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return file.getvalue()


def write(one: Reading, samples: NDArray[np.int16], folder: Path) -> dict[str, object]:
    """The Opus file, and its line of the manifest."""
    path = folder / "audio" / f"{one.id}.opus"
    content = opus(samples)
    path.write_bytes(content)
    return {
        "path": f"audio/{path.name}",
        "id": one.id,
        "domain": "speech",
        "speaker": one.voice,
        "text": one.text,
        "split": VOICES[one.voice].part,
        "alignment": PHONES,
        "sample_rate": RATE,
        "channels": 1,
        "duration": round(len(samples) / RATE, 3),
        "licence": VOICES[one.voice].licence,
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def main() -> None:
    """Render everything into --to, by default the folder of this file."""
    parser = argparse.ArgumentParser(description="Render the embedded corpus of a closed language.")
    parser.add_argument("--to", type=Path, default=HERE)
    folder: Path = parser.parse_args().to
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    everything = readings()
    with tempfile.TemporaryDirectory() as scratch:
        said = [
            (one, moved(one, spoken))
            for name, voice in VOICES.items()
            for one, spoken in speak([one for one in everything if one.voice == name], voice.engine, Path(scratch))
        ]
    lines = [write(one, master(one, spoken.wave), folder) for one, spoken in said]
    (folder / PHONES).write_text("".join(ctm(one.id, spoken.phones) for one, spoken in said), encoding="utf-8")
    (folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
