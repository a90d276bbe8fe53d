"""A folder of Kaldi's: wav.scp (UTTERANCE FILE), and text, utt2spk, utt2lang where they are there. Nothing that it names is run.

FILE is absolute, or relative to the folder or to the working folder, as in Kaldi's recipes. Source: kaldi-asr.org/doc/data_prep.html
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.api import UserError
from bench.data.column_names import language_of
from bench.data.manifest_clips import Entry

LIST, BESIDE = "wav.scp", ("text", "utt2spk", "utt2lang")
CURE = "write the audio to files first"


def entries(folder: Path) -> Iterator[Entry]:
    """A clip for each line of wav.scp; paths are relative to the root of the file system."""
    if (folder / "segments").is_file():
        raise UserError(f"{folder}/segments cuts clips out of longer recordings, which is not done here: {CURE} (extract-segments)")
    said, speakers, languages = (dict(_pairs(folder / name)) for name in BESIDE)
    for number, (name, file) in enumerate(_pairs(folder / LIST), 1):
        where = f"{folder / LIST}:{number}"
        facts = {"id": name, "path": _found(folder, file, where), "text": said.get(name, ""), "speaker": speakers.get(name, "")}
        if code := language_of(languages.get(name, "")):
            facts["language"] = code
        yield Entry(where, facts)


def texts(folder: Path) -> list[Path]:
    """The files that say what the clips are; some may not be there."""
    return [folder / name for name in (LIST, *BESIDE, "segments")]


def pairs(text: str) -> Iterator[tuple[str, str]]:
    """The first word of each line and the rest of it. Lines end with "\\n" alone: other signs that end one (U+0085, U+2028) are text."""
    for line in filter(None, map(str.strip, text.split("\n"))):
        name, *rest = line.split(None, 1)
        yield name, rest[0] if rest else ""


def _found(folder: Path, file: str, where: str) -> str:
    if not file:
        raise UserError(f"{where}: names no file: a line is UTTERANCE FILE")
    if file.endswith("|"):
        raise UserError(f"{where}: a command stands in place of a file ({file[:40]!r}), and none is run here: {CURE}")
    if (at := file.rpartition(":")) and at[2].isdigit():
        raise UserError(f"{where}: {file!r} is a place inside an archive of Kaldi's: {CURE} (wav-copy)")
    places = [folder / file, Path(file).absolute()]  # of an absolute one both are the file itself
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise UserError(f"{where}: {file} does not exist, neither below {folder} nor in the working folder")
    return found.absolute().relative_to(found.absolute().anchor).as_posix()


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    """Those of a file; none where there is no such file."""
    if not path.is_file():
        return
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 (byte {error.start}): save it as UTF-8") from error
    yield from pairs(text)
