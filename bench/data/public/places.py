"""Where a public data set lies on this machine, and how it gets there.

A copy below a folder of the user's own (`--data-root`, AUDIO_TOKENIZER_BENCH_DATA) comes first: unpacked, at most two folders down, or as
the archives. Else archives are fetched, proven, unpacked into the cache folder, and deleted.
"""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.api import Checkpoint, UserError
from bench.data.public.archives import listing, unpacked, volumes
from bench.data.public.records import File, Part, PublicSet
from bench.data.public.sets import SETS
from bench.data.roots import PLACE, roots
from bench.weights import download, licences
from bench.weights.transfer import digest_of, part_of, transferred

RETRIES = 3
SPACE = 2.2  # times the size of the archives that is needed while they are unpacked


@dataclass(frozen=True)
class Named:
    """A set and the part of it that a name means."""

    whole: PublicSet
    part: Part

    @property
    def label(self) -> str:
        """Its whole name."""
        return self.whole.label_of(self.part)

    @property
    def home(self) -> str:
        """The pattern of the folder that its reader is given."""
        return self.whole.home.replace("{part}", self.part.name)


@dataclass(frozen=True)
class Place:
    """Where a set lies."""

    home: Path  # the folder that its reader is given
    sums: Mapping[str, str]  # path below home -> sha256, of a copy that was unpacked here; {} of one of the user's own


def names() -> list[str]:
    """Every part by its whole name."""
    return [whole.label_of(part) for whole in SETS for part in whole.parts]


def set_names() -> list[str]:
    """Every set."""
    return [whole.name for whole in SETS]


def named(name: str) -> Named | None:
    """The set of a name, the first part of one that names none; None where nothing is called so."""
    head, _, tail = name.partition("/")
    for whole in SETS:
        if whole.name == head:
            return next((Named(whole, part) for part in whole.parts if tail in (part.name, "")), None)
    return None


def folder(whole: PublicSet) -> Path:
    """Where its archives are unpacked."""
    return download.cache_folder() / "data" / whole.name


def place(wanted: Named) -> Place | None:
    """Where the set lies; None: not on this machine, or not unpacked."""
    own = next((home for root in roots() for home in copies(wanted, root)), None)
    if own:
        return Place(own, {})
    base, files = folder(wanted.whole), wanted.part.files
    kept = [base / _sums_of(several[-1].name) for several in volumes([Path(file.name) for file in files])]
    if not files or not all(path.is_file() for path in kept):
        return None
    sums = {name: sha256 for path in kept for name, sha256 in listing(path).items()}
    home = next(iter(sorted(base.glob(wanted.home))), None)
    if home is None:
        return None
    start = home.relative_to(base).as_posix() + "/"
    return Place(home, {name.removeprefix(start): sha256 for name, sha256 in sums.items()})


def copies(wanted: Named, root: Path) -> Iterator[Path]:
    """Folders at a place, or at most two below it, that are laid out as the set is."""
    name = Path(wanted.home).name
    sign = wanted.whole.sign.replace("{part}", wanted.part.name)
    for candidate in (root, *sorted(root.glob("*")), *sorted(root.glob("*/*"))):
        meant = fnmatch.fnmatch(candidate.name, name) or (candidate == root and "{part}" not in wanted.whole.home)
        if meant and candidate.is_dir() and _has(candidate, sign):
            yield candidate


def _has(home: Path, sign: str) -> bool:
    return next(home.glob(sign), None) is not None


def fetch(wanted: Named) -> None:
    """Makes sure that the set is on this machine. UserError with what is missing and how to get it."""
    from filelock import FileLock

    if place(wanted):
        return
    base = folder(wanted.whole)
    base.mkdir(parents=True, exist_ok=True)
    with FileLock(base / ".lock"):
        if not place(wanted):  # another process was faster
            _fetched(wanted, base)


def _fetched(wanted: Named, base: Path) -> None:
    for left in base.glob(".unpacking-*"):  # of a process that was killed: none is at work under the lock
        shutil.rmtree(left, ignore_errors=True)
    for kept in base.glob(_sums_of("*")):
        if not all((base / name).is_file() for name in listing(kept)):  # what was unpacked was deleted since
            kept.unlink()
    missing = [file for file in wanted.part.files if not (base / _sums_of(_last(file, wanted.part))).is_file()]
    own = {file.name: path for file in missing if (path := _own_archive(file))}
    absent = [file for file in missing if file.name not in own and not _there(base / file.name, file)]
    archives = {file.name: base / file.name for file in missing} | own
    if absent:
        _say(wanted, absent)
    for file in absent:
        _from_network(wanted, file, archives[file.name])
    for several in volumes([archives[file.name] for file in missing]):
        _unpack(wanted, several)


def _say(wanted: Named, absent: Sequence[File]) -> None:
    """Says what comes, and under which licence. UserError where the licence must be accepted, or the disk is too small."""
    base, size = folder(wanted.whole), sum(file.size for file in absent)
    licences.before_fetch(Checkpoint(wanted.label), wanted.whole.licence, wanted.whole.page)
    there = sum(part_of(base / file.name).stat().st_size for file in absent if part_of(base / file.name).is_file())
    if (free := shutil.disk_usage(base).free) < (needed := size * SPACE - there):
        raise UserError(
            f"{wanted.label} needs {gigabytes(needed)} while it is unpacked, and {base} has {gigabytes(free)} free: set "
            f"AUDIO_TOKENIZER_BENCH_CACHE to a folder on another disk, or name a folder with a copy with --data-root"
        )
    went = f", of which {gigabytes(there)} are here" if there else ""
    print(f"fetching {wanted.label} ({gigabytes(size)}{went}; {wanted.whole.licence}) once into {base}", file=sys.stderr, flush=True)


def gigabytes(size: float) -> str:
    """A number of bytes as it is said."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def _from_network(wanted: Named, file: File, path: Path) -> None:
    try:
        transferred(file.urls, path, file.digest, RETRIES)
    except Exception as error:  # the transfer's own, those of its HTTP client, and the disk's
        part = part_of(path)
        came = (
            f"{gigabytes(part.stat().st_size)} of it stay, and the same command goes on from there, "
            if part.is_file()
            else "run again later, "
        )
        why = f"cannot be fetched from {file.urls[-1]} ({download.last_line(error)})"
        cure = f"{came}or name a folder that has it, or the unpacked set, with --data-root DIR or {PLACE}"
        raise UserError(f"{wanted.label}: {file.name} {why}: {cure}") from error


def _own_archive(file: File) -> Path | None:
    """The archive in a folder of the user's own, or at most two folders below it; another file of that name is passed over."""
    found = (path for root in roots() for depth in ("", "*/", "*/*/") for path in sorted(root.glob(f"{depth}{file.name}")))
    return next((path for path in found if _is(path, file)), None)


def _there(path: Path, file: File) -> bool:
    """Whether an archive came before. UserError where another file lies in its place."""
    if path.is_file() and not _is(path, file):
        raise UserError(f"{path} is not the archive that is meant, by its {file.digest.partition(':')[0]}: delete it and fetch it again")
    return path.is_file()


def _is(path: Path, file: File) -> bool:
    kind, _, wanted = file.digest.partition(":")
    return digest_of(path, kind) == wanted


def _unpack(wanted: Named, archive: Sequence[Path]) -> None:
    """Into the cache, under another name until all of it is there. The archive goes where it was fetched."""
    from tqdm.auto import tqdm

    base = folder(wanted.whole)
    into, fresh = Path(wanted.whole.into), base / f".unpacking-{os.getpid()}"
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        with tqdm(desc=f"unpacking {archive[-1].name}", unit="file", disable=None) as bar:
            sums = unpacked(archive, fresh / into, bar.update)
        for name in sums:
            target = base / into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (fresh / into / name).replace(target)
        kept = base / _sums_of(archive[-1].name)
        new = kept.with_name(f"{kept.name}.{os.getpid()}")
        new.write_text(json.dumps({(into / name).as_posix(): sha256 for name, sha256 in sums.items()}, indent=0), encoding="utf-8")
        new.replace(kept)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    for path in archive:
        if path.parent == base:
            path.unlink()


def _sums_of(archive: str) -> str:
    """The file that says that an archive was unpacked, and what into."""
    return f".{archive}.sha256.json"


def _last(file: File, part: Part) -> str:
    """The volume that an archive is called by."""
    return next(several[-1].name for several in volumes([Path(f.name) for f in part.files]) if file.name in [v.name for v in several])
