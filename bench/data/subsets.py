"""Some clips of a data set that are as unlike each other as it allows: of all domains in turn, of many speakers, with many texts.

Chance decides between equals, by the seed and the clips' ids alone: the same data, limit, domains and seed give the same clips.
"""

from __future__ import annotations

import hashlib
import heapq
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest

from bench.api import DOMAINS, Clip, UserError
from bench.data.clips import select

FIRST = 5  # speakers that come before any other has a second clip: as many as an interval needs
Limit = int | float
"""So many clips, or, of a float, that share of them, 0..1."""


@dataclass(frozen=True)
class Asked:
    """A data set's name with what may follow it: `NAME:200@seed=1`, `NAME:10%`, `NAME@domain=music`."""

    name: str
    limit: Limit | None = None  # so many of its clips; None: all
    seed: int = 0  # of their choice
    domain: str = ""  # of all of its clips, in place of their own; "": their own


SUFFIX = re.compile(r"(?P<name>.+?)(?::(?P<limit>\d[\d.]*%?))?(?:@(?P<options>\w+=[^@=,/]*(?:,\w+=[^@=,/]*)*))?")


def asked(source: str) -> Asked:
    """A name and what follows it. UserError for what nothing means."""
    found = SUFFIX.fullmatch(source)
    if found is None:
        return Asked(source)
    options = dict(option.split("=") for option in (found["options"] or "").split(",") if option)
    try:
        limit = limit_of(found["limit"]) if found["limit"] else None
        seed, domain = int(options.pop("seed", "0")), options.pop("domain", "")
    except ValueError as error:
        raise UserError(f"{source}: {error}: write as NAME:200@seed=1") from error
    if options or domain not in ("", *DOMAINS):
        wrong = f"{next(iter(options))!r} means nothing" if options else f"no domain is called {domain!r}"
        raise UserError(f"{source}: {wrong}: after @ stand seed=N and domain={'|'.join(DOMAINS)}, with a comma between")
    return Asked(found["name"], limit, seed, domain)


def limit_of(text: str) -> Limit:
    """`20` or `10%`; ValueError for anything else."""
    found = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?)%", text)
    if found and found[1] and int(found[1]) > 0:
        return int(found[1])
    if found and found[2] and 0 < float(found[2]) <= 100:
        return float(found[2]) / 100
    raise ValueError(f"must be a positive integer or a share as 10%, not {text!r}")


def subset(clips: Sequence[Clip], limit: Limit, domains: Sequence[str] = DOMAINS, seed: int = 0) -> Sequence[Clip]:
    """So many clips of those domains, in the order of `clips`. A share is rounded up."""
    candidates = [clip for clip in clips if clip.domain in domains]
    count = limit if isinstance(limit, int) else math.ceil(limit * len(candidates) - 1e-9)
    queues = [_spread([clip for clip in candidates if clip.domain == domain], seed) for domain in DOMAINS]
    turns = (clip for turn in zip_longest(*queues) for clip in turn if clip is not None)
    chosen = {clip.id for clip in islice(turns, count)}
    return select(clips, (place for place, clip in enumerate(clips) if clip.id in chosen))


def _spread(clips: Sequence[Clip], seed: int) -> Iterator[Clip]:
    """All clips of a domain, the ones first that stand for the most: of each speaker those whose text has come least often."""
    order = {clip.id: hashlib.sha256(f"{seed} {clip.id}".encode()).digest() for clip in clips}
    heaps: dict[str, list[tuple[int, bytes, Clip]]] = {}
    for clip in clips:  # a clip that names no speaker is one of its own
        heaps.setdefault(f"s{clip.speaker}" if clip.speaker else f"c{clip.id}", []).append((0, order[clip.id], clip))
    for heap in heaps.values():
        heapq.heapify(heap)
    said: Counter[str] = Counter()
    for speaker in _turns(sorted(heaps, key=lambda speaker: heaps[speaker][0][1]), max(map(len, heaps.values()), default=0)):
        if heaps[speaker]:
            yield _least_said(heaps[speaker], said)


def _turns(speakers: Sequence[str], most: int) -> Iterator[str]:
    """Five speakers, the same again, further ones twice each, as who is to be recognised needs two clips; then everyone in turn."""
    first, further = speakers[:FIRST], speakers[FIRST:]
    yield from chain(first, first, (speaker for speaker in further for _ in range(2)))
    for _ in range(most - 2):
        yield from speakers


def _least_said(heap: list[tuple[int, bytes, Clip]], said: Counter[str]) -> Clip:
    """Takes the clip whose text has come least often. Counts in the heap may be old: they only grow, so an old one is put back."""
    while True:
        count, order, clip = heapq.heappop(heap)
        if count == said[clip.text]:
            break
        heapq.heappush(heap, (said[clip.text], order, clip))
    if clip.text:
        said[clip.text] += 1
    return clip
