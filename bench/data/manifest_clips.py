"""Entries of a manifest -> clips: every field proven, every file found, in whatever Unicode form its name is written."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.api import DOMAINS, Clip, Domain, UserError
from bench.data import alignments, unicode_forms
from bench.data.column_names import LABEL
from bench.data.manifest_lines import entries

FIELDS = ("path", "id", "text", "speaker", "domain", "language", "split", "sha256", "alignment")


Span = tuple[int, int] | None
Hash = Callable[[Path, Span], str]
"""sha256 of a file, or of a stretch of it; UserError where it cannot be read."""


@dataclass(frozen=True)
class Entry:
    """What is written of a clip, whatever it is written in."""

    where: str  # the file and the line, for messages
    facts: Mapping[str, object]  # FIELDS and labels
    span: Span = None  # `Clip.span`


def from_manifest(manifest: Path, sha256_of: Hash, folder: Path | None = None, verify: bool = False) -> Iterator[Clip]:
    """The clips in the manifest's order. Raises UserError with the line that is wrong.

    `folder`: where the audio will lie that is not beside the manifest and may have yet to come; each line then has its sha256.
    `sha256_of`: of the files whose lines have none; `verify`: of all, what a line says is compared with it.
    """
    written = (Entry(where, facts) for where, facts in entries(manifest))
    yield from clips(written, folder or manifest.parent, sha256_of, folder is None, verify)


def clips(written: Iterable[Entry], folder: Path, sha256_of: Hash, there: bool = True, verify: bool = False) -> Iterator[Clip]:
    """A clip for each entry, in their order, whose paths are relative to the folder; `there`: each file is looked for."""
    for entry in written:
        clip = _clip(folder, entry, there, sha256_of)
        if verify and entry.facts.get("sha256") and (found := sha256_of(clip.path, clip.span)) != clip.sha256:
            cure = "get the file again, or correct the line" if there else f"delete {folder} and fetch it again"
            raise UserError(f"{entry.where}: {clip.path} has sha256 {found[:16]}..., not {clip.sha256[:16]}...: {cure}")
        yield clip


def _strings(entry: Mapping[str, object], where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for field in (*FIELDS, *(field for field in entry if field.startswith(LABEL))):
        value = entry.get(field, "")
        if not isinstance(value, str):
            raise UserError(f'{where}: "{field}" must be a string, not {json.dumps(value)}')
        if re.search("[\ud800-\udfff]", value):
            raise UserError(f'{where}: "{field}" holds half of a surrogate pair, which is no letter: write the text in UTF-8')
        found[field] = value
    return found


def _clip(folder: Path, written: Entry, there: bool, sha256_of: Hash) -> Clip:
    where, entry = written.where, _strings(written.facts, written.where)
    domain = domain_of(entry["domain"] or "speech", where)
    relative = _inside(folder, entry["path"], where)
    path = _file(folder, relative, where) if there else folder / relative
    name = unicode_forms.one_form(entry["id"]) or unicode_forms.of_path(relative if os.path.isabs(entry["path"]) else entry["path"])
    if not unicode_forms.may_be_an_id(name):
        raise UserError(f'{where}: {name!r} cannot be a clip\'s id: letters and signs, no ends of lines, and not "*"')
    language = _language(entry["language"] or "en", where)
    speaker, text = unicode_forms.one_form(" ".join(entry["speaker"].split())), unicode_forms.one_form(entry["text"])
    sha256 = entry["sha256"].lower() or sha256_of(path, written.span)
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise UserError(f'{where}: "sha256" is {sha256[:80]!r}: 64 hexadecimal digits are wanted, or leave it out')
    alignment = _alignment(folder, entry["alignment"], where)
    labels = _labels(entry, where)
    return Clip(name, path, sha256, domain, speaker, text, language, entry["split"].lower(), alignment, labels, written.span)


def _labels(entry: dict[str, str], where: str) -> tuple[tuple[str, str], ...]:
    """Names and values, by name; no value is no label."""
    found: list[tuple[str, str]] = []
    for field in sorted(field for field in entry if field.startswith(LABEL)):
        name = field.removeprefix(LABEL)
        if not re.fullmatch(r"[A-Za-z0-9_]+", name):
            raise UserError(f"{where}: {field!r} names no label: letters from a to z, digits and _ are wanted after {LABEL!r}")
        if value := unicode_forms.one_form(" ".join(entry[field].split())):
            found.append((name, value))
    return tuple(found)


def _alignment(folder: Path, named: str, where: str) -> Path | None:
    if not named:
        return None
    path = _file(folder, _inside(folder, named, where), where)
    if path.suffix.lower() not in alignments.SUFFIXES:
        raise UserError(f'{where}: "alignment" is {named!r}: a .TextGrid, .ctm or .item file is wanted')
    return path


def domain_of(text: str, where: str) -> Domain:
    """The domain that a word names. UserError with `where` for another word."""
    for domain in DOMAINS:
        if domain == text:
            return domain
    raise UserError(f'{where}: "domain" is {text!r}: one of {", ".join(DOMAINS)}')


def _language(text: str, where: str) -> str:
    if not re.fullmatch("[a-z]{2,3}", text):
        raise UserError(f'{where}: "language" is {text!r}: an ISO 639 code of small letters is wanted, as en, de or yue')
    return text


def _inside(folder: Path, path: str, where: str) -> str:
    """The path relative to the manifest's folder, with "/", without dots. UserError where it leads out."""
    clean = os.path.normpath(path)
    if not (folder / clean).is_file():
        clean = os.path.normpath(path.replace("\\", "/"))  # as Windows writes it
    if os.path.isabs(clean):
        homes = (os.path.abspath(folder), os.path.realpath(folder))
        clean = next((os.path.relpath(clean, home) for home in homes if os.path.commonpath((home, clean)) == home), "..")
    if clean.split("/")[0] == ".." or path.startswith("..\\"):
        raise UserError(f"{where}: {path!r} leads out of the manifest's folder: move the manifest, or the file below it")
    return clean


def _file(folder: Path, relative: str, where: str) -> Path:
    """Where the file lies; part by part, a name in another Unicode form is the same name."""
    exact = folder / relative
    if exact.is_file():
        return exact
    found = folder
    for part in Path(relative).parts:
        found = found / part if (found / part).exists() else _same_name(found, part, where) or found / part
    if not found.is_file():
        raise UserError(f"{where}: {exact} does not exist{_other_case(found)}")
    return found


def _same_name(folder: Path, name: str, where: str) -> Path | None:
    wanted = unicode_forms.one_form(name)
    found = [path for path in _listed(folder) if unicode_forms.one_form(path.name) == wanted]
    if len(found) > 1:
        raise UserError(f"{where}: {folder} has {len(found)} files called {wanted!r} that differ in Unicode form only: rename one")
    return found[0] if found else None


def _other_case(path: Path) -> str:
    """The cure where a name differs in small and capital letters only."""
    found = next((other.name for other in _listed(path.parent) if other.name.casefold() == path.name.casefold()), "")
    return f": {found} does, small and capital letters differ" if found else ""


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
