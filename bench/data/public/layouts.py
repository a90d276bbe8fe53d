"""How public data sets lay out their clips: a function gives the fields that a manifest would have, of every clip below a folder."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from bench.data.kaldi import pairs

Fields = dict[str, str]


def librispeech(home: Path, part: str) -> Iterator[Fields]:
    """SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac, with a file of transcripts a chapter."""
    for listed in sorted(home.glob("*/*/*.trans.txt")):
        folder = listed.parent.relative_to(home).as_posix()
        for name, text in _pairs(listed):
            yield {"path": f"{folder}/{name}.flac", "id": name, "speaker": name.partition("-")[0], "text": text}


def libritts(home: Path, part: str) -> Iterator[Fields]:
    """SPEAKER/CHAPTER/SPEAKER_CHAPTER_PARAGRAPH_SENTENCE.wav, with a file of normalised text beside each."""
    for wav in sorted(home.glob("*/*/*.wav")):
        said = wav.with_suffix(".normalized.txt")
        yield _fields(home, wav, speaker=wav.stem.partition("_")[0], text=_text(said))


def vctk(home: Path, part: str) -> Iterator[Fields]:
    """Release 0.92: wav48_silence_trimmed/SPEAKER/SPEAKER_NUMBER_mic1.flac, and txt/SPEAKER/SPEAKER_NUMBER.txt for all but one speaker."""
    for flac in sorted((home / "wav48_silence_trimmed").glob("*/*_mic1.flac")):
        name, speaker = flac.stem.removesuffix("_mic1"), flac.parent.name
        yield _fields(home, flac, id=name, speaker=speaker, text=_text(home / "txt" / speaker / f"{name}.txt"))


def ljspeech(home: Path, part: str) -> Iterator[Fields]:
    """metadata.csv, a line NAME|text|normalised text, and wavs/NAME.wav. One speaker."""
    for line in _lines(home / "metadata.csv"):
        name, _, text = line.partition("|")
        yield {"path": f"wavs/{name}.wav", "id": name, "speaker": "lj", "text": text.rpartition("|")[2]}


def speech_commands(home: Path, part: str) -> Iterator[Fields]:
    """WORD/SPEAKER_nohash_NUMBER.wav; testing_list.txt and validation_list.txt name those of the parts."""
    for path in sorted(_lines(home / {"test": "testing_list.txt", "validation": "validation_list.txt"}[part])):
        word, _, file = path.partition("/")
        speaker = file.partition("_nohash_")[0]
        yield {"path": path, "id": path.removesuffix(".wav"), "speaker": speaker, "text": word, "label:keyword": word}


def aishell(home: Path, part: str) -> Iterator[Fields]:
    """wav/PART/SPEAKER/NAME.wav and one file of transcripts, whose words are written together here. Those without one are no utterances."""
    texts = dict(_pairs(home / "transcript" / "aishell_transcript_v0.8.txt"))
    for wav in sorted((home / "wav" / part).glob("*/*.wav")):
        if wav.stem in texts:
            yield _fields(home, wav, speaker=wav.parent.name, text="".join(texts[wav.stem].split()), language="zh")


MLS = {"german": "de", "dutch": "nl", "french": "fr", "spanish": "es", "italian": "it", "portuguese": "pt", "polish": "pl", "english": "en"}


def mls(home: Path, part: str) -> Iterator[Fields]:
    """test/audio/SPEAKER/BOOK/SPEAKER_BOOK_NUMBER.opus, or .flac, and test/transcripts.txt."""
    for name, text in _pairs(home / "test" / "transcripts.txt"):
        speaker, book = name.split("_")[:2]
        stem = f"test/audio/{speaker}/{book}/{name}"
        suffix = next((suffix for suffix in (".opus", ".flac") if (home / f"{stem}{suffix}").is_file()), ".opus")
        yield {"path": stem + suffix, "id": name, "speaker": speaker, "text": text, "language": MLS[part]}


def musdb18(home: Path, part: str) -> Iterator[Fields]:
    """PART/ARTIST - TITLE.stem.mp4, whose first stream is the mix, or of the uncompressed edition PART/ARTIST - TITLE/mixture.wav."""
    for song in sorted([*(home / part).glob("*.stem.mp4"), *(home / part).glob("*/mixture.wav")]):
        name = song.parent.name if song.name == "mixture.wav" else song.name.removesuffix(".stem.mp4")
        yield _fields(home, song, id=name)


def gtzan(home: Path, part: str) -> Iterator[Fields]:
    """GENRE/GENRE.NUMBER.wav."""
    for file in sorted(path for path in home.glob("*/*.*.*") if path.suffix in (".wav", ".au")):
        yield _fields(home, file, **{"label:genre": file.parent.name})


def esc50(home: Path, part: str) -> Iterator[Fields]:
    """meta/esc50.csv names the files of audio/ and the event of each."""
    for row in _table(home / "meta" / "esc50.csv"):
        yield _fields(home, home / "audio" / row["filename"], **{"label:event": row["category"]})


def fsd50k(home: Path, part: str) -> Iterator[Fields]:
    """FSD50K.PART_audio/NUMBER.wav; the first of a clip's labels, which stand from special to general, is its event."""
    for row in sorted(_table(home / "FSD50K.ground_truth" / f"{part}.csv"), key=lambda row: int(row["fname"])):
        wav = home / f"FSD50K.{part}_audio" / f"{row['fname']}.wav"
        yield _fields(home, wav, **{"label:event": row["labels"].partition(",")[0]})


def of_hub(home: Path, part: str) -> Iterator[Fields]:
    """Of a set that comes from the hub alone: no layout of files is known."""
    yield from ()


def _fields(home: Path, file: Path, **facts: str) -> Fields:
    return {"path": file.relative_to(home).as_posix(), "id": file.stem, **facts}


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    return pairs(path.read_text(encoding="utf-8-sig"))


def _lines(path: Path) -> list[str]:
    """Those that say something; U+0085 and U+2028 end none."""
    return [line for line in path.read_text(encoding="utf-8-sig").split("\n") if line.strip()]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig").strip() if path.is_file() else ""


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))
