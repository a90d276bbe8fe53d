"""A tokenizer object of the user's -> a Variant, known by what it is made of and by what it does.

Its identity covers parameters, arrays and plain values of its attributes, the source of its classes where there is any, and the codes and
audio of half a second of a seeded signal: what gives other codes there is another tokenizer, wherever the change was made.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import json

import torch

from bench.api import Spec, Tokenizer, UserError, Variant
from bench.data.synthetic_audio import voice
from bench.plugins import boundary
from bench.plugins.fingerprint import numbers_of

SECONDS = 0.5


def variant_of(tokenizer: Tokenizer) -> Variant:
    """Each thread of a run gets a copy of its own, on the run's device; the object itself stays as it is."""
    spec = getattr(tokenizer, "spec", None)
    if not isinstance(spec, Spec) or not callable(getattr(tokenizer, "encode", None)) or not callable(getattr(tokenizer, "decode", None)):
        raise UserError(f"{type(tokenizer).__name__}: a tokenizer needs encode, decode and a spec, which is a bench.api.Spec")

    def load(_: Spec) -> Tokenizer:
        try:
            return copy.deepcopy(tokenizer)
        except (TypeError, RuntimeError):  # it holds what cannot be copied, as a handle of C code: threads share it
            return tokenizer

    return Variant(spec, load, code=_identity(load(spec)))


def _identity(tokenizer: Tokenizer) -> str:
    if isinstance(tokenizer, torch.nn.Module):
        tokenizer.eval()
    facts = {"class": _source(type(tokenizer)), "numbers": numbers_of(tokenizer), "plain": _plain(tokenizer), "does": _does(tokenizer)}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _source(kind: type) -> list[str]:
    found = []
    for one in kind.__mro__:
        if one.__module__.partition(".")[0] not in ("builtins", "torch", "typing"):
            try:
                found.append(inspect.getsource(one))
            except (OSError, TypeError):  # made on the fly
                found.append(one.__qualname__)
    return found


def _plain(tokenizer: Tokenizer) -> list[str]:
    return sorted(f"{name}={value!r}" for name, value in vars(tokenizer).items() if isinstance(value, str | bytes | int | float | tuple))


@torch.inference_mode()
def _does(tokenizer: Tokenizer) -> str:
    """sha256 of codes and audio of a seeded signal; what fails is told by the run."""
    spec = tokenizer.spec
    rate = spec.sample_rate or 16_000
    try:
        parameter = next(tokenizer.parameters(), None) if isinstance(tokenizer, torch.nn.Module) else None
        wav = voice((1, spec.channels, round(SECONDS * rate)), rate, 0)
        codes = boundary.encode(tokenizer, wav if parameter is None else wav.to(parameter.device))
        parts = [part.cpu().numpy().tobytes() for part in codes.parts]
        parts.append(boundary.decode(tokenizer, codes).float().cpu().numpy().tobytes() if spec.decodes else b"")
    except Exception as error:  # anybody's code: the run that follows says what is wrong with it, clip by clip
        parts = [repr(error).encode()]
    return hashlib.sha256(b"\n".join(parts)).hexdigest()
