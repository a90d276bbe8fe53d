"""What is known of data sets that have a name, as `bench data` prints it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from bench.api import DOMAINS, UserError
from bench.data import manifests
from bench.data.public import clips as public
from bench.data.public import places
from bench.data.public.places import Named, gigabytes
from bench.weights import licences

HEADER = ("data", "clips", "speakers", "rate", "size", "licence", "here")


def lines() -> list[tuple[str, ...]]:
    """A line for each: the bundled ones, then the public ones."""
    return [
        *(_bundled(name) for name in manifests.names()),
        *(_public(wanted) for name in places.names() if (wanted := places.named(name))),
    ]


def facts(name: str) -> dict[str, str]:
    """All that is known of one. UserError for a name that nothing has."""
    if name in manifests.names():
        _, clips, speakers, _, _, _, place = _bundled(name)
        found = manifests.open_data(name).sha256 if manifests.here(name) else ""
        return {"data": name, "clips": clips, "speakers": speakers, "here": place, **({"sha256": found} if found else {})}
    if (wanted := places.named(name)) is None:
        manifests.open_data(name)  # which says what is near, or what the rows of the hub lack
        raise UserError(f"{name} is data of your own: bench data show knows those that have a name")
    whole, part = wanted.whole, wanted.part
    asks = licences.terms(whole.licence)
    files = {f"file {number}" if len(part.files) > 1 else "file": _file(file) for number, file in enumerate(part.files, 1)}
    return {
        "data": wanted.label,
        "about": whole.about,
        "clips": _count(part.clips),
        "speakers": _count(part.speakers),
        "domain": whole.domain,
        "sample rate": _rate(wanted),
        "licence": whole.licence + (f" ({asks})" if asks else ""),
        "page": whole.page,
        **({"label": f"label:{whole.label}"} if whole.label else {}),
        **({"from": f"hf://{part.hub}"} if part.hub else {}),
        "size": _size(wanted),
        **files,
        "here": _place(wanted) or "no: bench data fetch " + wanted.label,
    }


def _bundled(name: str) -> tuple[str, ...]:
    facts = manifests.facts(name)
    domains = Counter(str(fact.get("domain", "speech")) for fact in facts)
    voices = len({fact["speaker"] for fact in facts if fact.get("speaker")})
    place = "bundled" if manifests.here(name) else "fetched at first use"
    return name, ", ".join(f"{domains[d]} {d}" for d in DOMAINS if domains[d]), str(voices), "", "", "free to use", place


def _public(wanted: Named) -> tuple[str, ...]:
    clips = _count(wanted.part.clips, "") + " " + (wanted.whole.domain if wanted.whole.sample_rate else "of all domains")
    asks = licences.terms(wanted.whole.licence)
    licence = wanted.whole.licence + (f" ({asks})" if asks else "")
    return (
        wanted.label,
        clips.strip(),
        _count(wanted.part.speakers, ""),
        _rate(wanted),
        _size(wanted),
        licence,
        "yes" if _place(wanted) else "",
    )


def _count(number: int | None, unknown: str = "not stated") -> str:
    return unknown if number is None else str(number)


def _rate(wanted: Named) -> str:
    return f"{wanted.whole.sample_rate / 1000:g} kHz" if wanted.whole.sample_rate else "several"


def _size(wanted: Named) -> str:
    return gigabytes(wanted.part.size) if wanted.part.size else "streamed"


def _file(file: places.File) -> str:
    return f"{file.urls[0]}, {gigabytes(file.size)}, {file.digest}"


def _place(wanted: Named) -> str:
    found = places.place(wanted)
    return str(Path(found.home)) if found else "in the cache folder" if public.here(wanted.label) else ""
