"""What is known of a public data set, as data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.api import Domain

Reader = Callable[[Path, str], Iterator[Mapping[str, str]]]
"""read(home, part) -> the fields of a manifest of every clip, in an order that depends on the files alone; paths are relative to home."""


@dataclass(frozen=True)
class File:
    """An archive, or one of the volumes that share a name up to its suffix (x.z01, x.zip)."""

    urls: tuple[str, ...]  # the same file at each
    size: int  # bytes, for what is said beforehand; the digest is the proof
    digest: str  # "md5:<hex>" or "sha256:<hex>"

    @property
    def name(self) -> str:
        """Its name, on disk and in messages."""
        return self.urls[0].rpartition("/")[2]


@dataclass(frozen=True)
class Part:
    """What `--data SET/NAME` names; NAME is "" where a set has no parts."""

    name: str
    clips: int | None = None  # that a whole copy has; None: not known here
    speakers: int | None = None  # None: not known, or nobody speaks
    files: tuple[File, ...] = ()
    hub: str = ""  # of a part that is streamed from the Hugging Face hub: as after hf://

    @property
    def size(self) -> int:
        """Bytes to be fetched; 0: not known."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class PublicSet:
    """A data set that others made. Its first part is what the bare name means."""

    name: str
    about: str
    licence: str  # as an SPDX name where there is one; terms that bench.weights.licences knows are asked for before a fetch
    page: str
    domain: Domain
    sample_rate: int | None  # Hz; None: several
    parts: tuple[Part, ...]
    home: str  # below where archives are unpacked, the folder that `read` is given; {part} stands for the part's name
    sign: str  # a pattern of paths below home that a copy has, for some part
    read: Reader
    into: str = ""  # the folder that archives are unpacked into, of those that bring none of their own
    label: str = ""  # what its clips are labelled with: the manifest has label:NAME
    languages: Mapping[str, str] | None = None  # part -> ISO 639 code, of what is spoken in it; None: English, or nobody speaks

    def label_of(self, part: Part) -> str:
        """As `--data` names it."""
        return f"{self.name}/{part.name}" if part.name else self.name
