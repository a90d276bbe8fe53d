"""The one writer of the golden files: what each tokenizer that needs no download makes of one fixed sound.

    python tests/golden/write.py              every tokenizer
    python tests/golden/write.py mulaw@8bit   these

A file changes only together with the version of every suite whose scores it moves. The sound is made of integers, so it is the
same on every machine. Where there are few codes they are stored, and a few may differ (another processor rounds another way);
where there are many, their sha256.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import torch
from torch import Tensor

from bench import registry
from bench.api import Packs, UserError
from bench.plugins import boundary

FOLDER = Path(__file__).parent
ANY_RATE = 16_000  # Hz, for a tokenizer that takes any
FEW = 4096  # codes that are stored one by one

Record = dict[str, object]


def covered() -> list[str]:
    """Every tokenizer whose codes depend on this repository and its libraries alone: those without a file of weights."""
    return [name for name in registry.names() if registry.variant(name).checkpoint is None]


def sound(sample_rate: int, channels: int) -> Tensor:
    """wav [1, C, T], 1.03 s: a saw tooth that steps through pitches and loudness, in a little noise, all multiples of 2**-15."""
    generator = torch.Generator().manual_seed(5)
    length = sample_rate + sample_rate // 32
    steps = torch.randint(0, 64, (2, 1 + length // (sample_rate // 8)), generator=generator).repeat_interleave(sample_rate // 8, dim=1)
    period = sample_rate // 250 + steps[0, :length] * sample_rate // 16000
    saw = torch.arange(length) % period * 512 // period - 256
    noise = torch.randint(-256, 256, (channels, length), generator=generator)
    return ((saw * steps[1, :length] + noise) / 32768).float()[None]


def measure(name: str) -> Record:
    """The facts of one tokenizer that a golden file holds."""
    tokenizer = registry.load_tokenizer(name)
    wav = sound(tokenizer.spec.sample_rate or ANY_RATE, tokenizer.spec.channels)
    with torch.inference_mode():
        made = boundary.encode(tokenizer, wav)
        codes = made.frames
        record: Record = {"label": name, "codes_shape": list(codes.shape)}
        if isinstance(tokenizer, Packs):  # a library's own bytes: another version of it may choose others
            record["bits"] = tokenizer.packed_bits(codes)
        elif codes.numel() <= FEW:
            record["codes"] = codes[0].tolist()
        else:
            record["codes_sha256"] = hashlib.sha256(codes.numpy().astype("<i8").tobytes()).hexdigest()
        if made.side is not None:
            record["side_codes"] = made.side[0].tolist()
        if tokenizer.spec.decodes:
            record |= _of_audio(wav, boundary.decode(tokenizer, made))
    return record


def _of_audio(wav: Tensor, back: Tensor) -> Record:
    error = back[..., : wav.shape[-1]] - wav[..., : back.shape[-1]]  # some lose a tail
    return {
        "samples": back.shape[-1],
        "rms_by_quarter": [round(float(part.square().mean().sqrt()), 7) for part in back.chunk(4, dim=-1)],
        "snr_db": round(float(10 * torch.log10(wav.square().sum() / error.square().sum().clamp(min=1e-20))), 2),
    }


def main(names: list[str]) -> None:
    for name in names or covered():
        try:
            record = measure(name)
        except UserError as error:
            print(f"{name}: left as it was: {error}", file=sys.stderr)
            continue
        lines = [f"  {json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in record.items()]
        (FOLDER / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
