"""What a run is: all that its scores depend on, as data. Its sha256 is the key of the run's folder."""

from __future__ import annotations

import math
from dataclasses import asdict

from bench.api import Data, Suite, Variant
from bench.data import RESAMPLER, alignments
from bench.records.options import Options
from bench.records.specs import PROSE


def identity(variant: Variant, suite: Suite, data: Data, options: Options) -> dict[str, object]:
    """What runs, as data: its hash is the run's key. Rows with unlike identities never share a file."""
    facts, books = asdict(variant.spec), variant.spec.codebooks
    for prose in PROSE:  # about the tokenizer; no score can depend on them
        del facts[prose]
    facts["codebooks"] = [[c.size, None if math.isnan(c.rate) else c.rate] for c in variant.spec.codebooks]
    facts |= {name: [getattr(c, name) for c in books] for name in ("table", "levels") if any(getattr(c, name) for c in books)}
    facts["side"] = [[c.size, c.rate, *([list(c.levels)] if c.levels else [])] for c in variant.spec.side]
    for rare, usual in (
        ("block", 1),
        ("sampled", False),
        ("encodes", True),
        ("longest", None),
        ("context", 0.0),
        ("labelled", False),
        ("side", []),
        ("output_rate", None),
        ("keeps_level", True),
    ):  # most have none: their runs' keys are as they were before it was stated
        if facts[rare] == usual:
            del facts[rare]
    judge = {"judge": suite.judge} if suite.judge else {}
    half = {"judged_on": "cuda"} if suite.halves and options.device.startswith("cuda") else {}
    phones = {"alignments": held} if suite.reads_alignments and (held := alignments.fingerprint(data.clips)) else {}
    asked = {"asked": suite.asked} if suite.asked else {}
    timed = {"sweep": suite.sweep, "machine": _machine(options.device)} if suite.sweep else {}
    return {
        "tokenizer": facts,
        "code": variant.code,
        "suite": suite.name,
        "version": suite.version,
        "data": data.sha256,
        "seed": options.seed,
        "resampler": RESAMPLER,
        **judge,
        **half,
        **asked,
        **timed,
        **phones,
    }


def _machine(device: str) -> dict[str, object]:
    from bench.records import hardware  # here: what is not timed is known without waiting for torch

    return hardware.speed(device)
