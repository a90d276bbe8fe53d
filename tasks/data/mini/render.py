"""Renders the embedded corpus `mini` beside this file: audio/*.flac, manifest.jsonl and phones.ctm. Run once; the results are committed.

    python tasks/data/mini/render.py [--to FOLDER]

Needs Debian 12's flite 2.2-5, festival 1:2.5.0-9 with festvox-us-slt-hts 0.2010.10.25-4 and festvox-kdlpc16k 1.4.0-6.1,
fluidsynth 2.3.1-2 and fluid-soundfont-gm 3.1-5.3, beside numpy, scipy, soundfile and soxr. The same versions and SEED give
the same bytes; other versions give another corpus, whose sha256 says so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from music import PIECES, Piece, electronic, midi
from numpy.typing import NDArray
from sounds import SOUNDS

SEED = 2
PEAK = 10 ** (-3 / 20)  # -3 dBFS, every clip
SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
MUSIC_RATE = 44_100
PHONES = "phones.ctm"  # beside the manifest: when each phone is spoken, as the synthesiser says
DEEP = 0.82  # of the HTS voice's pitch and formants; festival speaks faster by as much, so the tempo stays

FLITE, HTS, KED = "CMU Flite licence (BSD-like)", "CMU EST-2003 (MIT-like)", "CSTR Edinburgh licence (MIT-like)"
LICENCES = {"awb": FLITE, "rms": FLITE, "slt": FLITE, "kal16": FLITE, "ked": KED, "slt_hts": HTS, "slt_hts_deep": HTS}
OWN, GENERAL_MIDI = "MIT (this project)", "MIT (this project; FluidR3 GM soundfont, MIT)"

# Harvard sentences (IEEE Recommended Practice for Speech Quality Measurements, 1969). The first two texts are read by every voice.
SHARED = {
    "canoe": "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background.",
    "boy": "The boy was there when the sun rose. A rod is used to catch pink salmon.",
}
OWN_TEXTS = {
    ("awb", "well"): "It's easy to tell the depth of a well. These days a chicken leg is a rare dish.",
    ("awb", "pants"): "Press the pants and sew a button on the vest.",
    ("rms", "rice"): "Rice is often served in round bowls. The juice of lemons makes fine punch.",
    ("rms", "hogs"): "The hogs were fed chopped corn and garbage.",
    ("slt", "truck"): "The box was thrown beside the parked truck. Large size in stockings is hard to sell.",
    ("kal16", "river"): "The source of the huge river is the clear spring. Kick the ball straight and follow through.",
    ("ked", "tea"): "Help the woman get back to her feet. A pot of tea helps to pass the evening.",
    ("slt_hts", "fires"): "Smoky fires lack flame and heat. The soft cushion broke the man's fall.",
    ("slt_hts", "breeze"): "The salt breeze came across from the sea. The girl at the booth sold fifty bonds.",
    ("slt_hts_deep", "pup"): "The small pup gnawed a hole in the sock. The fish twisted and turned on the bent hook.",
}
Wave = NDArray[np.float64]


@dataclass(frozen=True)
class Spoken:
    """What a synthesiser said: mono samples [T], their rate in Hz, and its phones, each with the second at which it ends."""

    wave: Wave
    rate: int
    phones: tuple[tuple[str, float], ...]

    def played(self, rate: float, to: int) -> Spoken:
        """Its samples taken as if of another rate, and resampled: pitch, formants and tempo move together."""
        ends = tuple((phone, end * self.rate / rate) for phone, end in self.phones)
        return Spoken(soxr.resample(self.wave, rate, to, "VHQ"), to, ends)

    def cut(self, start: int, stop: int) -> Spoken:
        """Some of its samples; phones before and after them are gone."""
        first, last = start / self.rate, min(stop, len(self.wave)) / self.rate
        begins = (0.0, *(end for _, end in self.phones))
        heard = [
            (phone, min(end, last) - first)
            for (phone, end), begin in zip(self.phones, begins, strict=False)
            if end > first and begin < last
        ]
        return Spoken(self.wave[start:stop], self.rate, tuple(heard))


@dataclass(frozen=True)
class Made:
    """A clip before it is written: samples [T, C] of any level."""

    id: str
    domain: str
    wave: Wave
    rate: int
    licence: str
    speaker: str = ""
    text: str = ""
    phones: tuple[tuple[str, float], ...] = ()  # with the second at which each ends


def rng(name: str) -> np.random.Generator:
    """One generator a clip, so that adding a clip changes no other."""
    return np.random.default_rng([SEED, zlib.crc32(name.encode())])


def load(path: Path) -> tuple[Wave, int]:
    """Samples, [T] where there is one channel and [T, C] otherwise, and their rate in Hz."""
    wave, rate = soundfile.read(path)
    return np.asarray(wave, np.float64), rate


def speak(voice: str, text: str, folder: Path) -> Spoken:
    """One text in one voice, at the voice's own rate."""
    path = folder / "speech.wav"
    if voice in ("awb", "rms", "slt", "kal16"):
        return flite(voice, text, path)
    setup = "(voice_ked_diphone)" if voice == "ked" else "(voice_cmu_us_slt_arctic_hts)"
    if voice == "slt_hts_deep":
        setup = f'(begin {setup} (set! hts_engine_params (cons (list "-r" {1 / DEEP}) hts_engine_params)))'
    festival([setup, synthesis(text, path)])
    spoken = festival_said(path)
    return spoken.played(spoken.rate * DEEP, 24_000) if voice == "slt_hts_deep" else spoken


def flite(voice: str, text: str, path: Path, *flags: str) -> Spoken:
    """Speech by flite, which prints "PHONE:END" of its own segments."""
    command = ["flite", "-voice", voice, *flags, "-psdur", "-t", text, str(path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    ends = (segment.split(":") for segment in said.split())
    return Spoken(*load(path), tuple((phone, float(end)) for phone, end in ends))


def festival(lines: list[str]) -> None:
    """Runs lines of Scheme."""
    subprocess.run(["festival", "-b", *lines], check=True, stdout=subprocess.DEVNULL)


def synthesis(text: str, path: Path) -> str:
    """A line of Scheme that speaks a text into a file and writes its segments beside it."""
    return f'(let ((u (utt.synth (Utterance Text "{text}")))) (utt.save.wave u "{path}") (utt.save.segs u "{path}.segs"))'


def festival_said(path: Path) -> Spoken:
    """What `synthesis` wrote: behind the line "#", "END COLOUR PHONE" of each segment (xlabel)."""
    lines = Path(f"{path}.segs").read_text(encoding="utf-8").split("#\n", 1)[1].splitlines()
    ends = (line.split() for line in lines)
    return Spoken(*load(path), tuple((phone, float(end)) for end, _, phone in ends))


def trim(spoken: Spoken, keep: float = 0.08) -> Spoken:
    """Without what is more than 45 dB below its loudest 10 ms at either end, but for `keep` seconds."""
    wave, hop = spoken.wave, spoken.rate // 100
    level = np.sqrt((wave[: wave.size // hop * hop].reshape(-1, hop) ** 2).mean(1))
    loud = np.flatnonzero(level > level.max() * 10 ** (-45 / 20))
    edge = int(keep * spoken.rate)
    return spoken.cut(max(loud[0] * hop - edge, 0), (loud[-1] + 1) * hop + edge)


def speech(folder: Path) -> Iterator[Made]:
    """Every voice with the shared texts, then each with its own."""
    texts = {(voice, name): text for voice in LICENCES for name, text in SHARED.items()} | OWN_TEXTS
    for (voice, name), text in sorted(texts.items()):
        kept = trim(speak(voice, text, folder))
        yield Made(f"speech_{voice}_{name}", "speech", kept.wave[:, None], kept.rate, LICENCES[voice], voice, text, kept.phones)


def play(piece: Piece, folder: Path) -> Wave:
    """The piece on the soundfont, [T, 1] or [T, 2]."""
    song, path = folder / "song.mid", folder / "song.wav"
    song.write_bytes(midi(piece))
    flags = ["-n", "-i", "-q", "-g", "0.4", "-r", str(MUSIC_RATE), "-T", "wav", "-O", "float", "-F", str(path)]
    subprocess.run(["fluidsynth", *flags, str(SOUNDFONT), str(song)], check=True, stdout=subprocess.DEVNULL)
    wave = load(path)[0][: int(piece.seconds * MUSIC_RATE)]
    return wave if piece.stereo else wave.mean(1, keepdims=True)


def music(folder: Path) -> Iterator[Made]:
    """Seven pieces for the soundfont and one without."""
    for name, compose in PIECES.items():
        yield Made(f"music_{name}", "music", play(compose(rng(name)), folder), MUSIC_RATE, GENERAL_MIDI)
    yield Made("music_electronic", "music", electronic(rng("electronic"), MUSIC_RATE)[:, None], MUSIC_RATE, OWN)


def general() -> Iterator[Made]:
    """The eight synthesised sounds."""
    for name, (make, rate) in SOUNDS.items():
        yield Made(f"general_{name}", "general", make(rng(name), rate)[:, None], rate, OWN)


def master(made: Made) -> NDArray[np.int16]:
    """No offset, 10 ms fades at both ends, the peak at -3 dBFS, and 16 bits with triangular dither, [T, C]."""
    wave = made.wave - made.wave.mean(0)
    ramp = np.hanning(2 * (made.rate // 100))[: made.rate // 100, None]
    wave[: len(ramp)] *= ramp
    wave[-len(ramp) :] *= ramp[::-1]
    dither = rng(made.id).uniform(-0.5, 0.5, (2, *wave.shape)).sum(0)
    return np.round(wave / np.abs(wave).max() * PEAK * 32_768 + dither).astype(np.int16)


def ctm(clip: str, phones: tuple[tuple[str, float], ...]) -> str:
    """Lines of a CTM file: clip, channel, start and duration in seconds, phone."""
    starts = (0.0, *(end for _, end in phones))
    return "".join(f"{clip} 1 {start:.4f} {end - start:.4f} {phone}\n" for (phone, end), start in zip(phones, starts, strict=False))


def write(made: Made, folder: Path) -> dict[str, object]:
    """The FLAC file, and its line of the manifest."""
    samples, path = master(made), folder / "audio" / f"{made.id}.flac"
    soundfile.write(path, samples, made.rate, subtype="PCM_16", compression_level=1.0)
    return {
        "path": f"audio/{path.name}",
        "id": made.id,
        "domain": made.domain,
        "speaker": made.speaker,
        "text": made.text,
        **({"alignment": PHONES} if made.phones else {}),
        "sample_rate": made.rate,
        "channels": samples.shape[1],
        "duration": round(len(samples) / made.rate, 3),
        "licence": made.licence,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def main() -> None:
    """Render everything into --to, by default the folder of this file."""
    parser = argparse.ArgumentParser(description="Render the embedded corpus.")
    parser.add_argument("--to", type=Path, default=Path(__file__).resolve().parent)
    folder: Path = parser.parse_args().to
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        clips = [made for source in (speech(Path(scratch)), music(Path(scratch)), general()) for made in source]
    lines = [write(made, folder) for made in clips]
    (folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (folder / PHONES).write_text("".join(ctm(made.id, made.phones) for made in clips), encoding="utf-8")


if __name__ == "__main__":
    main()
