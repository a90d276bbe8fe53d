"""What --save-audio keeps: DIR/<tokenizer>/<clip>.wav beside DIR/original/<clip>.wav, and DIR/index.jsonl, which says what made each file.

A file counts as kept where the index has it from the same tokenizer, weights, code, seed and clip, and its content is what was written. So
other weights, data or seeds never mix in one folder without a word: what differs is written again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from bench.api import Audio, Clip, Reconstruction, UserError
from bench.data.audio import write
from bench.records.writer import folder_name, key_of, replace
from bench.weights.transfer import digest_of

LONGEST = 200  # bytes of a name in UTF-8, without its mark and suffix: file systems take 255


@dataclass(frozen=True)
class Entry:
    """A line of the index."""

    file: str  # relative to the index
    clip: str
    made_by: str  # sha256 of all that the file depends on
    data: str  # the name of the data set
    sha256: str  # of the file


def file_names(ids: Iterable[str]) -> dict[str, str]:
    """Clip id -> a file's name: readable, short enough, and one for each, also where capitals make no difference."""
    plain = {clip: re.sub(r"[^\w.-]+", "_", clip).lstrip(".").encode()[:LONGEST].decode(errors="ignore") for clip in ids}
    twins = Counter(name.casefold() for name in plain.values())
    alone = {clip for clip, name in plain.items() if name == clip and twins[name.casefold()] == 1}
    return {clip: name if clip in alone else f"{name}-{hashlib.sha256(clip.encode()).hexdigest()[:8]}" for clip, name in plain.items()}


class SavedAudio:
    """The listening files of one tokenizer on one data set."""

    def __init__(self, root: Path, label: str, channels: int, made_by: Mapping[str, object], clips: Sequence[Clip], data: str) -> None:
        """`made_by`: what the tokenizer's audio depends on, besides the clip."""
        self.root, self.data, self.made_by, self.channels = root, data, made_by, channels
        self.folder = folder_name(label)
        self.originals = "original" if channels == 1 else f"original-{channels}ch"  # as the tokenizer gets them
        self.names = file_names(clip.id for clip in clips)
        self.index = root / "index.jsonl"
        self.replaced = 0  # files that something else had made
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(root / ".index.lock")
            with self._lock:
                self.entries = {entry.file: entry for entry in _read(self.index)}
        except OSError as error:
            raise self._failed(error) from error

    def has(self, clip: Clip, encoded: Clip | None) -> bool:
        """Whether both files of the clip are there, as this tokenizer made them; `encoded`: what it was given in the clip's place."""
        return self._is(self._file(self.folder, clip), self._key(clip, encoded)) and self._is(
            self._file(self.originals, clip), self._original_key(clip)
        )

    def files(self, clip: Clip) -> tuple[str, str]:
        """The names of the clip's reconstruction and of its original."""
        return self._file(self.folder, clip), self._file(self.originals, clip)

    def keep(self, item: Reconstruction, encoded: Clip | None) -> None:
        """Writes the reconstruction, and the original where it is not there; of one that failed nothing is left behind."""
        if item.failure:
            self._drop(self._file(self.folder, item.clip))
            return
        self._write(self._file(self.folder, item.clip), item.clip, self._key(item.clip, encoded), item.est)
        original = self._file(self.originals, item.clip)
        if not self._is(original, self._original_key(item.clip)):
            self._write(original, item.clip, self._original_key(item.clip), item.ref)

    def notes(self) -> list[str]:
        """What of other runs was replaced, and what of them is in the tokenizer's folder still."""
        ours = {self._file(self.folder, clip).split("/")[1] for clip in self.names}
        try:
            found = [path.name for path in (self.root / self.folder).glob("*.wav") if path.name not in ours]
        except OSError as error:
            raise self._failed(error) from error
        replaced = "were made otherwise (other weights, code, seed or clip) and are replaced"
        told = ((self.replaced, replaced), (len(found), "belong to other clips"))
        return [f"{self.root / self.folder}: {count} files {what}, see {self.index}" for count, what in told if count]

    def _file(self, folder: str, clip: Clip | str) -> str:
        return f"{folder}/{self.names[clip if isinstance(clip, str) else clip.id]}.wav"

    def _key(self, clip: Clip, encoded: Clip | None) -> str:
        return key_of({**self.made_by, "clip": clip.sha256, "encoded": encoded.sha256 if encoded else ""})

    def _original_key(self, clip: Clip) -> str:
        return key_of({"clip": clip.sha256, "channels": self.channels})

    def _is(self, file: str, key: str) -> bool:
        entry, path = self.entries.get(file), self.root / file
        return entry is not None and entry.made_by == key and path.is_file() and entry.sha256 == digest_of(path, "sha256")

    def _write(self, file: str, clip: Clip, key: str, audio: Audio) -> None:
        write(self.root / file, audio.wav, audio.sample_rate)
        self._note(Entry(file, clip.id, key, self.data, digest_of(self.root / file, "sha256")))

    def _drop(self, file: str) -> None:
        try:
            (self.root / file).unlink(missing_ok=True)
        except OSError as error:
            raise self._failed(error) from error

    def _note(self, entry: Entry) -> None:
        before = self.entries.get(entry.file)
        self.replaced += before is not None and before.made_by != entry.made_by and entry.file.startswith(f"{self.folder}/")
        self.entries[entry.file] = entry
        try:
            with self._lock, self.index.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(entry)) + "\n")
        except OSError as error:
            raise self._failed(error) from error

    def finish(self) -> None:
        """The index with a line for each file that is there, sorted."""
        try:
            with self._lock:
                entries = {entry.file: entry for entry in _read(self.index) if (self.root / entry.file).is_file()}
                replace(self.index, "".join(json.dumps(asdict(entries[file])) + "\n" for file in sorted(entries)))
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> UserError:
        return UserError(f"{self.root}: audio cannot be saved ({error.strerror or error}): give another folder")


@dataclass(frozen=True)
class SavedFiles:
    """The files of one run below a folder of saved audio: clip -> reconstruction, and the original as the tokenizer got it."""

    root: Path
    clips: Mapping[str, tuple[str, str]]

    def reconstruction(self, clip: str) -> Path:
        return self.root / self.clips[clip][0]

    def original(self, clip: str) -> Path:
        return self.root / self.clips[clip][1]


def saved(
    root: Path, identity: Mapping, clips: Iterable[Clip], encoded: Mapping[str, Clip] | None = None, only: Iterable[str] | None = None
) -> SavedFiles:
    """The files that a run of that identity made, of the clips that have both; what other weights, codes or seeds made is left out.

    `clips`: all of the data; `encoded`: the clip that the tokenizer was given in place of each; `only`: ids of those that are wanted.
    """
    spec = identity["tokenizer"]
    label, channels = f"{spec['name']}@{spec['variant']}", spec.get("channels", 1)
    made_by = {name: identity[name] for name in ("tokenizer", "code", "seed", "resampler")}
    if not (root / "index.jsonl").is_file():
        raise UserError(f"{root}: no saved audio is there: save it with bench run --save-audio {root}")
    known = tuple(clips)
    found = SavedAudio(root, label, channels, made_by, known, "")
    wanted = [clip for clip in known if only is None or clip.id in only]
    there = {clip.id: found.files(clip) for clip in wanted if found.has(clip, clip if encoded is None else encoded.get(clip.id))}
    return SavedFiles(root, there)


def _read(index: Path) -> list[Entry]:
    """The lines of an index; one that is none, as a killed run leaves it, counts for nothing."""
    found: list[Entry] = []
    for line in index.read_text(encoding="utf-8", errors="replace").split("\n") if index.exists() else ():
        try:
            found.append(Entry(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return found
