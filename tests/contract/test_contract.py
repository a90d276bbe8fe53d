"""Every tokenizer of the registry keeps the contract, and each rule catches the tokenizer that breaks it."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from bench import registry
from bench.api import Codebook, Spec, Tokenizer, UserError, Variant
from bench.conformance.rules import CHECKS, check
from bench.tokenizers.mulaw import VARIANTS, MuLaw

MULAW = VARIANTS["8bit"]


def here(name: str) -> Callable[[], Tokenizer]:
    """A loader of that tokenizer; skips, with the reason, where its weights or its package are not on this machine."""
    variant = registry.variant(name)
    if variant.checkpoint is not None and variant.checkpoint.url:
        pytest.skip(f"{name}: its official weights are fetched, and no test needs the network")
    try:
        registry.load_tokenizer(name)
    except UserError as error:
        pytest.skip(str(error))
    return lambda: registry.load_tokenizer(name)


def usual() -> Iterator[object]:
    """The default variant of every family, the one that comes with weights, and the small ones; what only takes fewer codebooks is slow."""
    for family in registry.families().values():
        for i, (name, variant) in enumerate(family.items()):
            fast = name.startswith("tiny") or (i == 0 and "tiny" not in family) or name == "mini"
            yield pytest.param(variant.spec.label, marks=() if fast else pytest.mark.slow)


@pytest.mark.parametrize("name", list(usual()))
def test_keeps_the_contract(name: str) -> None:
    findings = check(registry.variant(name), here(name))
    assert len(findings) == len(CHECKS)
    assert not [f"{finding.name}: {finding.detail}" for finding in findings if finding.outcome == "fail"]


class SideDoor(MuLaw):
    """Decodes a recording that encode left behind."""

    left: Tensor

    def encode(self, wav: Tensor) -> Tensor:
        SideDoor.left = wav.clone()
        return super().encode(wav)

    def decode(self, codes: Tensor) -> Tensor:
        return self.left if self.left.shape == codes.shape else super().decode(codes)


class Restless(MuLaw):
    """Dithers with a generator that nobody seeded."""

    def encode(self, wav: Tensor) -> Tensor:
        return super().encode(wav + 1e-3 * random.random())


class OutOfRange(MuLaw):
    """Uses one code too many."""

    def encode(self, wav: Tensor) -> Tensor:
        return super().encode(wav) + 1


class Sociable(MuLaw):
    """Normalises over the batch."""

    def encode(self, wav: Tensor) -> Tensor:
        return super().encode(wav / wav.abs().amax().clamp(min=1e-3))


class Peeking(MuLaw):
    """Normalises over the clip, and yet calls itself causal."""

    def encode(self, wav: Tensor) -> Tensor:
        return super().encode(wav / wav.abs().amax(dim=-1, keepdim=True).clamp(min=1e-3))


class Tidal(MuLaw):
    """Removes the mean of the clip: zeros appended change it."""

    def encode(self, wav: Tensor) -> Tensor:
        return super().encode(wav - wav.mean(dim=-1, keepdim=True))


class Late(MuLaw):
    """Lags by 30 ms that the spec does not state."""

    def decode(self, codes: Tensor) -> Tensor:
        return torch.nn.functional.pad(super().decode(codes), (480, -480))


class Clipping(MuLaw):
    """Clips the caller's own samples."""

    def encode(self, wav: Tensor) -> Tensor:
        return super().encode(wav.clamp_(-0.9, 0.9))


class Sloppy(MuLaw):
    """Gives 16-bit codes."""

    def encode(self, wav: Tensor) -> Tensor:
        return super().encode(wav).short()


class Cut(MuLaw):
    """Forgets the last 10 ms."""

    def decode(self, codes: Tensor) -> Tensor:
        return super().decode(codes)[..., : max(codes.shape[-1] - 160, 0)]


class Fragile(MuLaw):
    """Cannot take a clip that is shorter than its window."""

    def encode(self, wav: Tensor) -> Tensor:
        return super().encode(torch.nn.functional.pad(wav, (400, 0), mode="reflect")[..., 400:])


class DividesByLevel(MuLaw):
    """Gives NaN for silence."""

    def decode(self, codes: Tensor) -> Tensor:
        wav = super().decode(codes)
        return wav * (wav.abs().mean() / wav.abs().mean())


class Overflows(MuLaw):
    """Has no code for a sample of exactly 1."""

    def encode(self, wav: Tensor) -> Tensor:
        return super().encode(wav) + 256 * (wav == 1)


class Miscounts(MuLaw):
    """Counts no bits."""

    def packed_bits(self, codes: Tensor) -> int:
        return 0


class Chopped(MuLaw):
    """Its stream drops the end."""

    def stream_encoder(self) -> SimpleNamespace:
        return SimpleNamespace(feed=super().encode, flush=lambda: torch.zeros(1, 1, 1, dtype=torch.int64))

    def stream_decoder(self) -> SimpleNamespace:
        return SimpleNamespace(feed=super().decode, flush=lambda: torch.zeros(1, 1, 0))


class Renamed(MuLaw):
    """Loads as another tokenizer than was listed."""

    def __init__(self, spec: Spec) -> None:
        super().__init__(replace(spec, sample_rate=8_000))


class Unmoved(MuLaw):
    """Takes seeds and draws nothing."""

    def decode(self, codes: Tensor, seeds: Sequence[int] = ()) -> Tensor:
        return super().decode(codes)


class Fewer(MuLaw):
    """Loses the last sample of whatever it is given."""

    def encode(self, wav: Tensor) -> Tensor:
        return super().encode(wav)[..., :-1]


WRONG_RATE = replace(MULAW.spec, codebooks=(Codebook(256, 15_000.0),))
LOST_LEVEL = replace(MULAW.spec, keeps_level=False)
UNKNOWN_WEIGHTS = replace(MULAW.spec, weights="model.bin")
BROKEN = {
    SideDoor: "codes_only",
    Restless: "deterministic",
    OutOfRange: "codes",
    Sociable: "batch",
    Peeking: "causal",
    Tidal: "padding",
    Late: "delay",
    Clipping: "untouched",
    Sloppy: "codes",
    Cut: "audio",
    Fragile: "lengths",
    DividesByLevel: "silence",
    Overflows: "loud",
    Miscounts: "packed",
    Chopped: "streaming",
    Renamed: "spec",
}


def outcomes(spec: Spec, kind: type[MuLaw]) -> dict[str, str]:
    """Check -> outcome for a broken relative of mu-law."""
    return {f.name: f.outcome for f in check(Variant(spec, kind), lambda: kind(spec))}


@pytest.mark.parametrize(("kind", "caught_by"), BROKEN.items(), ids=[kind.__name__ for kind in BROKEN])
def test_a_broken_tokenizer_is_caught_by_its_rule(kind: type[MuLaw], caught_by: str) -> None:
    assert outcomes(MULAW.spec, kind)[caught_by] == "fail"


TOO_SHORT = replace(MULAW.spec, longest=1.0)
FALSE = {
    "frame_rate": (WRONG_RATE, MuLaw),
    "level": (LOST_LEVEL, MuLaw),
    "weights": (UNKNOWN_WEIGHTS, MuLaw),
    "seeds": (replace(MULAW.spec, sampled=True), Unmoved),
    "pieces": (TOO_SHORT, Fewer),
}


@pytest.mark.parametrize("caught_by", FALSE)
def test_a_false_statement_is_caught_by_its_rule(caught_by: str) -> None:
    assert outcomes(*FALSE[caught_by])[caught_by] == "fail"


def test_every_rule_has_a_tokenizer_that_breaks_it() -> None:
    assert {rule.__name__ for rule in CHECKS} == {*BROKEN.values(), *FALSE}


def test_an_honest_tokenizer_fails_nothing() -> None:
    found = outcomes(MULAW.spec, MuLaw)
    assert "fail" not in found.values()
    assert {name for name, outcome in found.items() if outcome == "skip"} == {"packed", "pieces", "seeds", "streaming"}


def test_an_encoder_alone_is_not_asked_to_decode() -> None:
    class Deaf(MuLaw):
        def decode(self, codes: Tensor) -> Tensor:
            raise NotImplementedError

    found = outcomes(replace(MULAW.spec, decodes=False), Deaf)
    assert "fail" not in found.values()
    assert found["audio"] == found["codes_only"] == found["delay"] == "skip"


def test_an_exception_is_a_finding_of_one_line() -> None:
    class Exploding(MuLaw):
        def encode(self, wav: Tensor) -> Tensor:
            raise RuntimeError("two\nlines")

    findings = {f.name: f for f in check(Variant(MULAW.spec, Exploding), lambda: Exploding(MULAW.spec))}
    assert findings["codes"].outcome == "fail"
    assert findings["codes"].detail == "RuntimeError: two lines"
