"""Which tokenizer is what: a line for every one with weights, from the registry and from published.csv, for a page of the documentation."""

from __future__ import annotations

from bench.api import Spec
from bench.report import describe, published

FIRST = "first code semantic, the rest acoustic"
BOTH = "semantic and acoustic in one"
KINDS = {  # what the specs of these do not say: what their authors made the codes for
    "mimi": FIRST,
    "speechtokenizer": FIRST,
    "dualcodec": FIRST,
    "xcodec": BOTH,
    "xcodec2": BOTH,
    "neucodec": BOTH,
    "focalcodec": BOTH,
    "mfcc_kmeans": "acoustic units",
    "phone_labels": "the phones themselves",
}
HEADER = (
    "tokenizer",
    "frames/s",
    "tokens/s",
    "kbit/s",
    "vocabulary",
    "what codes stand for",
    "decodes",
    "causal",
    "weights",
    "licence",
    "published",
)


def kind(spec: Spec) -> str:
    """Semantic or acoustic: what its authors say, else the roles that the spec states, else whether audio comes back from its codes."""
    if spec.reference or spec.shuffled:
        return "reference condition"
    if spec.name in KINDS:
        made_for = KINDS[spec.name]
        return "semantic" if made_for == FIRST and len(spec.codebooks) == 1 else made_for
    roles = list(dict.fromkeys(book.role for book in spec.codebooks if book.role))
    return ", ".join(roles) or ("acoustic" if spec.decodes else "semantic")


def vocabulary(spec: Spec) -> str:
    """Different codes over all streams, each with entries of its own."""
    total = sum(spec.codebooks[table[0]].size for table in spec.tables)
    return "samples" if spec.reference else f"{total:,}"


def scores(label: str) -> str:
    """What is published of it, with the source; "" where nothing is, in published.csv."""
    by_source: dict[str, list[str]] = {}
    for one in published.of(label):
        by_source.setdefault(f"{one.source}, {one.data}", []).append(f"{published.MEASURES[one.measure][0]} {one.shown}")
    return "; ".join(f"{', '.join(values)} ({source})" for source, values in by_source.items())


def tokenizers() -> describe.Listing:
    """A line for every tokenizer but those with random weights."""
    lines = []
    for variant in describe.variants():
        spec = variant.spec
        if not spec.trained:
            continue
        place = describe.place(variant).replace("downloaded", "downloadable")  # whatever this machine has
        lines.append(
            (
                spec.label,
                describe.number(spec.frame_rate),
                describe.number(spec.tokens_per_s),
                describe.number(spec.bitrate / 1000),
                vocabulary(spec),
                kind(spec),
                "yes" if spec.decodes else "no",
                "yes" if spec.causal else "no",
                place,
                spec.licence or "–",
                scores(spec.label) or "–",
            )
        )
    return HEADER, lines
