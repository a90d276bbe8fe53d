"""Files of weights: found on this machine or downloaded, and proven by sha256 whichever way they came.

A file of a Hugging Face repository comes through huggingface_hub into the cache that other programs use, too (HF_HOME), from HF_ENDPOINT,
with HF_TOKEN, and not while HF_HUB_OFFLINE=1. Any other address is downloaded into the project's own cache folder
(AUDIO_TOKENIZER_BENCH_CACHE, else the system's), where a file of either kind may also be put by hand and is looked for first.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bench
from bench.api import Checkpoint, UserError
from bench.weights import licences
from bench.weights.transfer import FULL, digest_of, transferred

NAME = "audio-tokenizer-bench"
HUB = re.compile(r"https://huggingface\.co/(?P<kind>datasets/|spaces/)?(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
RETRIES = 2  # of a download that is not from the hub, whose library has its own count
OTHER_WAYS = "or give it with --weights PATH; the @mini variants need no download"


@dataclass(frozen=True)
class HubFile:
    """A file of a Hugging Face repository at one revision."""

    repo: str
    revision: str
    file: str
    kind: str  # "model", "dataset" or "space"

    @property
    def page(self) -> str:
        """Where its licence can be read and accepted."""
        return f"https://huggingface.co/{'' if self.kind == 'model' else f'{self.kind}s/'}{self.repo}"

    def cached(self) -> Path | None:
        """Where the user's hub cache has it; None where it does not. Asks no server."""
        from huggingface_hub import try_to_load_from_cache

        path = try_to_load_from_cache(self.repo, self.file, revision=self.revision, repo_type=self.kind)
        return Path(path) if isinstance(path, str) else None  # neither None nor the mark of a file that the repository does not have

    def download(self, again: bool) -> Path:
        """Its place in the user's hub cache; `again`: in place of the file that is there."""
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(self.repo, self.file, revision=self.revision, repo_type=self.kind, force_download=again))

    def address(self) -> str:
        """Where it is downloaded from: HF_ENDPOINT may name a mirror."""
        from huggingface_hub import hf_hub_url

        return hf_hub_url(self.repo, self.file, revision=self.revision, repo_type=self.kind)


def cache_folder() -> Path:
    """The project's own: downloads that are not from the hub, and what evaluators answered."""
    import platformdirs

    if given := os.environ.get("AUDIO_TOKENIZER_BENCH_CACHE"):
        return Path(given).expanduser()
    before = Path.home() / ".cache" / NAME  # of versions that did not ask the system
    return before if before.is_dir() else platformdirs.user_cache_path(NAME, appauthor=False)


def shipped(name: str) -> Path:
    """Where a file of this project is, if this installation has it."""
    places = [Path(root) / "tokenizers" / "weights" / name for root in bench.__path__]
    return next((place for place in places if place.is_file()), places[0])


def sha256_of(path: Path) -> str:
    """Hexadecimal sha256 of a file of weights; UserError where it cannot be read."""
    try:
        return digest_of(path, "sha256")
    except OSError as error:
        raise UserError(f"cannot read weights at {path}: {error.strerror or error}") from error


def present(checkpoint: Checkpoint) -> bool:
    """Whether the file is on this machine, its content unproven."""
    if not checkpoint.url:
        return shipped(checkpoint.file).is_file()
    hub = hub_file(checkpoint.url)
    return (cache_folder() / checkpoint.file).is_file() or (hub is not None and hub.cached() is not None)


def locate(checkpoint: Checkpoint, licence: str = "") -> Path:
    """The file on this machine, shipped, cached or downloaded now, with its sha256 checked; an absolute `file` is one of the user's own.

    `licence`: of the weights; what it asks is said, and must have been accepted, before they are downloaded (bench.weights.licences).
    """
    if not checkpoint.url:
        path = shipped(checkpoint.file)
        if not path.is_file():
            raise UserError(
                checkpoint.cure or f"weights {checkpoint.file} are not in this installation ({path}): give the file with --weights PATH"
            )
        return _proven(path, checkpoint, "reinstall audio-tokenizer-bench, or give the file with --weights PATH")
    if not checkpoint.sha256:  # never download what could not be proven
        said = f" ({licence}: {asked})" if (asked := licences.terms(licence, checkpoint.gated)) else ""
        raise UserError(f"the sha256 of {checkpoint.file} is not known here: get {checkpoint.url}{said} and give it with --weights PATH")
    path = cache_folder() / checkpoint.file
    if path.is_file():
        return _proven(path, checkpoint, "delete it and run again")
    hub = hub_file(checkpoint.url)
    if hub and (cached := hub.cached()) and sha256_of(cached) == checkpoint.sha256:
        return cached
    licences.before_fetch(checkpoint, licence, hub.page if hub else checkpoint.url)
    return _from_hub(hub, checkpoint) if hub else _from_address(checkpoint, path)


def hub_file(url: str) -> HubFile | None:
    """What a huggingface.co address names; None for any other address."""
    found = HUB.fullmatch(url)
    return HubFile(found["repo"], found["revision"], found["file"], (found["kind"] or "models/")[:-2]) if found else None


def _proven(path: Path, checkpoint: Checkpoint, cure: str) -> Path:
    found = sha256_of(path)
    if found != checkpoint.sha256:
        raise UserError(f"{path} has sha256 {found[:12]}..., not the pinned {checkpoint.sha256[:12]}...: {cure}")
    return path


def _from_hub(hub: HubFile, checkpoint: Checkpoint) -> Path:
    """A damaged file in the user's cache is downloaded again; what was downloaded and is not the pinned file does not stay there."""
    cached = hub.cached()
    try:
        path = hub.download(again=cached is not None)
    except Exception as error:  # the library lets through what its HTTP client, its storage client and the disk raise
        raise _failed(error, checkpoint, hub.address(), hub, cached) from error
    try:
        return _proven(path, checkpoint, f"the download from {hub.address()} was broken or the file was changed there, run again")
    except UserError:
        for name in (path.resolve(), path):  # the content, and the name that the revision has for it
            name.unlink(missing_ok=True)
        raise


def _from_address(checkpoint: Checkpoint, path: Path) -> Path:
    """One process downloads, under another name until the sha256 is proven; what broke off goes on where it was."""
    try:
        transferred((checkpoint.url,), path, f"sha256:{checkpoint.sha256}", RETRIES)
    except Exception as error:  # the transfer's own, those of its HTTP client, and the disk's
        raise _failed(error, checkpoint, checkpoint.url) from error
    return _proven(path, checkpoint, "delete it and run again")


def _failed(error: Exception, checkpoint: Checkpoint, address: str, hub: HubFile | None = None, damaged: Path | None = None) -> UserError:
    """What is missing, from where, why, and what to do, in one line."""
    what = f"{damaged} is not the pinned {checkpoint.file}" if damaged else f"{checkpoint.file} is not on this machine"
    why, cure = _of_the_disk(error, hub) or (of_the_hub(error, hub) if hub else None) or (last_line(error), "")
    ways = f"put it at {cache_folder() / checkpoint.file}; {checkpoint.cure or OTHER_WAYS}"
    return UserError(f"{what} and cannot be downloaded from {address} ({why}): {cure}{ways}")


def _of_the_disk(error: Exception, hub: HubFile | None) -> tuple[str, str] | None:
    """Why and the cure where the disk refused; None where something else did."""
    other = f"set {'HF_HOME' if hub else 'AUDIO_TOKENIZER_BENCH_CACHE'} to a folder on another disk, "
    for cause in _chain(error):
        if isinstance(cause, OSError) and cause.errno in FULL:
            return f"no space left: {cause.strerror}", f"free some space or {other}"
        if isinstance(cause, OSError) and cause.errno and cause.filename:
            return f"cannot write {cause.filename}: {cause.strerror}", other
    return None


def of_the_hub(error: Exception, hub: HubFile) -> tuple[str, str] | None:
    """The same where the hub refused, or was not to be asked."""
    from huggingface_hub import errors

    page = hub.page
    if any(isinstance(cause, errors.OfflineModeIsEnabled) for cause in _chain(error)):
        return "HF_HUB_OFFLINE is set", "unset it, "
    if isinstance(error, errors.GatedRepoError):
        return "its licence must be accepted first", f"accept it at {page} and set HF_TOKEN to a token of that account, "
    if isinstance(error, errors.RepositoryNotFoundError):
        return "no such repository, or a private one", f"if {page} is private, set HF_TOKEN, "
    if isinstance(error, (errors.RemoteEntryNotFoundError, errors.RevisionNotFoundError)):
        return f"404: not found in revision {hub.revision}", ""
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, what it was raised from, and so on."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def last_line(error: Exception) -> str:
    """What the innermost of the causes says: that of the network rather than its client's."""
    text = next((str(cause) for cause in reversed(list(_chain(error))) if str(cause)), type(error).__name__)
    return " ".join(text.split())[:300]
