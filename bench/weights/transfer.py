"""A file from an address, on this machine: a transfer that broke off goes on at the byte where it was, and what came is proven.

Until then it lies beside its place as `.NAME.part`. One process transfers, others wait for it.
"""

from __future__ import annotations

import errno
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
TIMEOUT = 60.0  # seconds without a byte
CHUNK = 1 << 16  # bytes that are written at once: less than that is lost of a transfer that breaks off


class WrongContent(Exception):
    """What came is not the file that was meant."""


def transferred(urls: Sequence[str], path: Path, digest: str, retries: int) -> None:
    """Puts the file of any of these addresses, the first that answers, at `path`, proven by `digest`, "md5:<hex>" or "sha256:<hex>".

    Raises WrongContent, OSError or requests.RequestException, of the last address. What came of a file stays, unless the disk is full.
    """
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        if path.is_file():
            return
        try:
            _transferred(urls, path, digest, retries)
        except OSError as error:
            if error.errno in FULL:
                part_of(path).unlink(missing_ok=True)
            raise


def part_of(path: Path) -> Path:
    """Where what came of a file lies."""
    return path.with_name(f".{path.name}.part")


def digest_of(path: Path, kind: str) -> str:
    """Hexadecimal md5 or sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def _transferred(urls: Sequence[str], path: Path, digest: str, retries: int) -> None:
    import requests

    part = part_of(path)
    kind, _, wanted = digest.partition(":")
    for number, url in enumerate(urls, 1):
        try:
            whole = _tried(url, part, retries)
            if (found := digest_of(part, kind)) != wanted and not whole:  # what was there before was of another file
                part.unlink()
                _tried(url, part, retries)
                found = digest_of(part, kind)
        except requests.RequestException:
            if number == len(urls):
                raise
            continue
        if found == wanted:
            part.replace(path)
            return
        part.unlink()
        if number == len(urls):
            raise WrongContent(f"its {kind} {found[:12]}... does not match the pinned {wanted[:12]}...: the file was changed there")


def _tried(url: str, part: Path, retries: int) -> bool:
    """Whether the file came whole in this one go: several attempts, each from where the last one broke off."""
    import requests

    at_start = not part.is_file()
    for attempt in range(retries + 1):
        try:
            _rest(url, part)
            break
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
            if attempt == retries:
                raise
            time.sleep(2**attempt)
    return at_start


def _rest(url: str, part: Path) -> None:
    """Appends to `part` what it lacks of the file; a server that gives no parts gives all of it anew."""
    import requests
    from tqdm.auto import tqdm

    start = part.stat().st_size if part.is_file() else 0
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable and start:
            if answer.headers.get("Content-Range", "").endswith(f"/{start}"):
                return  # nothing is lacking
            part.unlink()
            return _rest(url, part)
        answer.raise_for_status()
        given = answer.headers.get("Content-Range", "")
        if answer.status_code != requests.codes.partial_content or not given.startswith(f"bytes {start}-"):
            start = 0
        length = answer.headers.get("Content-Length", "")
        bar = tqdm(desc=part.name[1:].removesuffix(".part"), unit="B", unit_scale=True, initial=start, disable=None)
        bar.total = start + int(length) if length.isdigit() else None
        with bar, part.open("ab" if start else "wb") as file:
            for chunk in answer.iter_content(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
