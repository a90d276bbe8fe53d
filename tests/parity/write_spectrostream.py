"""The writer of spectrostream.json: what the authors' SpectroStream makes of the recipe's weights and sounds.

    PYTHONPATH=. python tests/parity/write_spectrostream.py

spectrostream_oracle.py says what it needs.
"""

from __future__ import annotations

import json
from typing import Any

from torch import Tensor

from tests.parity.spectrostream_oracle import Official, official, settled
from tests.parity.spectrostream_recipe import CASES, CONFIGS, SEEDS, STORED, sizes, sound
from tests.parity.wavtokenizer_recipe import heard
from tests.parity.write_wavtokenizer import rounded

PACKAGE = "magenta-rt 2.0.3"


def kept(wav: Tensor) -> list[list[list[float]]]:
    """Samples of wav [B, C, T], by clip and channel."""
    return [[rounded(samples, 8) for samples in heard(clip[:, None])] for clip in wav]


def measure(codec: Official, seed: int, clips: int, samples: int, levels: int) -> dict[str, Any]:
    """What the authors' code makes of one batch with so many codebooks."""
    codes = codec.run("encode", sound(clips, samples, seed))["codes"][:, :levels]
    made = codec.run("decode", codes)
    wav, tail = made["wav"], made["ended"][..., made["wav"].shape[-1] :]
    facts = {"codes": codes.tolist(), "decoded": wav.shape[-1], "heard": kept(wav) if wav.numel() else None, "tail": kept(tail)}
    return {"clips": clips, "samples": samples} | facts


def main() -> None:
    record: dict[str, Any] = {"package": PACKAGE, "written by": "tests/parity/write_spectrostream.py"}
    with official() as codec:
        for name, config in CONFIGS.items():
            shapes, runs = codec.ask(do="shapes", sizes=sizes(config)), []
            for seed in SEEDS[name]:
                facts = settled(codec, config, shapes, seed)
                runs.append({"seed": seed, "facts": facts, "cases": [measure(codec, seed, *case) for case in CASES[name]]})
            record[name] = {"shapes": shapes, "runs": runs}
    STORED.write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
