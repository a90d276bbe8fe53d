"""What is trained, as data: a design says everything that may be varied; a study varies some of it around one design, the base.

Nothing here needs torch: a wrong word is answered at once.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

from bench.api import UserError
from bench.catalog.names import unknown

SAMPLE_RATE = 16_000  # Hz of all networks: what evaluators of speech hear
CROP = 15_360  # samples of a crop, .96 s
GROUPS = 2  # of a group quantizer
WIDTH = 64  # of the latents, which begin with as many numbers of a frame's transform

KINDS: Mapping[str, str] = {
    "rvq": "residual",
    "vq": "one codebook, whatever the levels",
    "split": "one level beside a residual quantizer of the others",
    "group": f"{GROUPS} groups of channels, each with a residual quantizer",
    "product": "pieces of the latents, each with a codebook",
    "factorised": "residual, looked up by direction in few dimensions",
    "multi-scale": "residual, level l at 1 / 2^(levels - l) of the frame rate",
    "fsq": "finite scalars, so many codes beside each other",
    "bsq": "signs of a few dimensions, so many codes beside each other",
}
LOSSES = ("spectral", "mel", "stft", "wave", "spectral+wave", "spectral+envelope")  # what they are: objectives.py
DISCRIMINATORS = ("none", "stft", "period", "both")
STEPS: Mapping[int, tuple[int, ...]] = {  # of finite scalar codes, after table 1 of arxiv.org/abs/2309.15505 from 240 on
    **{16: (4, 4), 64: (8, 8), 256: (8, 6, 5), 1024: (8, 5, 5, 5), 4096: (7, 5, 5, 5, 5), 16384: (8, 8, 8, 6, 5)},
    65536: (8, 8, 8, 5, 5, 5),
}


@dataclass(frozen=True)
class Design:
    """One network's quantizer, frame rate and losses. Its name leaves out what is usual."""

    quantizer: str = "rvq"
    levels: int = 4  # codes per frame
    size: int = 256  # codes of a codebook
    rate: int = 50  # frames per second
    losses: str = "spectral"
    discriminator: str = "none"

    @property
    def name(self) -> str:
        """`rvq-4x256`, with `-25hz`, losses and discriminator where they are others than usual."""
        usual = Design()
        extra = [f"{self.rate}hz"] if self.rate != usual.rate else []
        extra += [self.losses] if self.losses != usual.losses else []
        extra += [f"d-{self.discriminator}"] if self.discriminator != usual.discriminator else []
        return "-".join([self.quantizer, f"{self.levels}x{self.size}", *extra])

    @property
    def before(self) -> str:
        """The name of the network without a quantizer that it begins with."""
        return "-".join([f"{self.rate}hz", self.losses])

    @property
    def hop(self) -> int:
        """Samples per frame."""
        return SAMPLE_RATE // self.rate

    @property
    def strides(self) -> tuple[int, ...]:
        """Frames of a code, level by level: 1 but of a multi-scale quantizer."""
        scales = range(self.levels - 1, -1, -1)
        return tuple(2**scale if self.quantizer == "multi-scale" else 1 for scale in scales)


FACTORS = tuple(field.name for field in fields(Design))
WORDS: Mapping[str, tuple[str, ...]] = {"quantizer": tuple(KINDS), "losses": LOSSES, "discriminator": DISCRIMINATORS}
USUAL: Mapping[str, tuple[str, ...]] = {  # the values of a factor that is varied without saying how
    "levels": ("1", "2", "4", "8"),
    "size": ("16", "64", "256", "1024"),
    "rate": ("25", "50", "100"),
    **WORDS,
}


def changed(design: Design, factor: str, value: str) -> Design:
    """The design with another value of a factor. Raises UserError for what is no factor or no value of it."""
    if factor not in FACTORS:
        raise unknown("factor", factor, FACTORS)
    if factor in WORDS:
        if value not in WORDS[factor]:
            raise unknown(factor, value, WORDS[factor])
        return replace(design, **{factor: value})
    if not re.fullmatch(r"[1-9]\d{0,5}", value):
        raise UserError(f"{factor}={value} is no whole number from 1 to 999999: write as {factor}={','.join(USUAL[factor])}")
    return replace(design, **{factor: int(value)})


def checked(design: Design) -> Design:
    """The design, a plain quantizer with its one level. Raises UserError for what cannot be built."""
    if design.quantizer == "vq":
        design = replace(design, levels=1)
    kind, levels, size = design.quantizer, design.levels, design.size
    frames = CROP // design.hop

    def wrong(why: str) -> UserError:
        return UserError(f"{design.name}: {why}")

    if size < 2:
        raise wrong("a codebook needs two codes or more")
    if SAMPLE_RATE % design.rate or CROP % design.hop or not WIDTH <= design.hop <= 2048:
        raise wrong(f"frames must be whole samples of {SAMPLE_RATE} Hz and divide {CROP}: choose 25, 50, 100 or 200 per second")
    if kind == "multi-scale" and frames % design.strides[0]:
        raise wrong(f"its slowest code lasts {design.strides[0]} frames, which do not divide the {frames} of a crop: fewer levels")
    if kind == "split" and levels < 2:
        raise wrong("a split quantizer needs two levels or more")
    if kind == "group" and levels % GROUPS:
        raise wrong(f"its levels are shared by {GROUPS} groups: an even number")
    if kind == "product" and WIDTH % levels:
        raise wrong(f"a product quantizer cuts the {WIDTH} numbers of a frame into equal pieces: 1, 2, 4, 8, ..., {WIDTH} levels")
    if kind == "fsq" and size not in STEPS:
        raise wrong(f"sizes of finite scalar codes are {', '.join(map(str, STEPS))}")
    if kind == "bsq" and size & (size - 1):
        raise wrong("sizes of binary codes are powers of two")
    return design


def parsed(words: Sequence[str], base: Design = Design()) -> Design:
    """`levels=8`, `size=1024`, ... -> the base with those values."""
    for word in words:
        factor, _, value = word.partition("=")
        base = changed(base, factor.strip(), value.strip())
    return checked(base)


def varied(base: Design, words: Sequence[str], grid: bool = False) -> list[Design]:
    """`levels=1,2,4` or `levels` (its usual values) -> designs, the base first: one factor at a time, or with `grid` all together."""
    factors: dict[str, tuple[str, ...]] = {}
    for word in words:
        factor, given, values = word.partition("=")
        if factor not in FACTORS:
            raise unknown("factor", factor, FACTORS)
        factors[factor] = tuple(value.strip() for value in values.split(",") if value.strip()) if given else USUAL[factor]
        if not factors[factor]:
            raise UserError(f"{word} names no value: write as {factor}={','.join(USUAL[factor])}, or {factor} alone")
    found = [base]
    if grid:
        for values in itertools.product(*factors.values()):
            design = base
            for factor, value in zip(factors, values, strict=True):
                design = changed(design, factor, value)
            found.append(checked(design))
    else:
        found += [checked(changed(base, factor, value)) for factor, values in factors.items() for value in values]
    return list(dict.fromkeys(found))
