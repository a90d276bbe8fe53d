"""What is known of a quality evaluator before it is loaded: one that is asked about clips, and one that is asked about whole sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bench.api import Domain, Metric
from bench.evaluators.embeddings import Embed
from bench.evaluators.sounds import Ask

ORIGINAL = "_original"


@dataclass(frozen=True)
class QualityEvaluator:
    """What is known of an evaluator before it is loaded."""

    name: str
    columns: tuple[Metric, ...]  # a number of its answer each; all of the same rates
    load: Callable[[str], Ask]  # called with the device; UserError where its package or weights are missing
    weights: str  # sha256 of its files, "<hex>+<hex>" of several; "none"
    shortest: float  # s of audio that it needs
    compares: bool = False  # it is given the original, too
    on_device: bool = False  # a network in torch, asked about many clips at once on a GPU

    @property
    def rates(self) -> Mapping[Domain, int]:
        """Hz, by domain that it hears."""
        return self.columns[0].rates

    @property
    def label(self) -> str:
        """The evaluator as part of what a run is."""
        return f"{self.name} sha256:{self.weights}"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Its columns, and those of the originals where it is asked about them."""
        if self.compares:
            return self.columns
        about = "the same score of the originals"
        return (*self.columns, *(replace(m, name=m.name + ORIGINAL, better="", about=f"{m.name}: {about}") for m in self.columns))


@dataclass(frozen=True)
class SetEvaluator:
    """A distance between the embeddings of all originals and those of all reconstructions of a domain (bench.evaluators.frechet)."""

    name: str  # with the embedding's
    rates: Mapping[Domain, int]  # Hz, by domain that the embedding was made for
    load: Callable[[str], Embed]  # called with the device; UserError where its package or weights are missing
    weights: str
    about: str  # of the embedding
    shortest: float = 0.5

    @property
    def label(self) -> str:
        """As part of what a run is."""
        return f"{self.name} sha256:{self.weights}"

    @property
    def columns(self) -> tuple[Metric, ...]:
        """The distance, and that of infinitely many embeddings."""
        kind = self.name.removeprefix("fad_")
        said = {f"fad_{kind}": "Fréchet distance of all embeddings", f"fad_inf_{kind}": "the same, extrapolated to infinitely many"}
        return tuple(
            Metric(name, "", "lower", self.rates, 0.02, None, f"{about} ({self.about})", per="corpus") for name, about in said.items()
        )

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Its columns."""
        return self.columns
