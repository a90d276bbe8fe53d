"""The authors' SpectroStream in a process of its own (spectrostream_jax.py), whose Python SPECTROSTREAM_PYTHON names:

python -m venv spectrostream
spectrostream/bin/pip install jax flax einops jaxtyping typeguard==2.13.3 sentencepiece
spectrostream/bin/pip install --no-deps magenta-rt==2.0.3 recurrentgemma
export SPECTROSTREAM_PYTHON=$PWD/spectrostream/bin/python
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.tokenizers.spectrostream import Config
from tests.parity.spectrostream_recipe import Facts, sizes, sound, weights
from tests.parity.wavtokenizer_recipe import Shapes
from tests.parity.write_wavtokenizer import rounded

PYTHON = "SPECTROSTREAM_PYTHON"
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
BLANK: Facts = {"middle": [0.0], "spread": [1.0], "quiet": 1.0}


class Official:
    """The authors' codec; audio is [B, C, T] and codes are [B, K, F], as here."""

    def __init__(self, process: subprocess.Popen[str], folder: Path):
        self.process, self.folder = process, folder

    def ask(self, **order: object) -> dict[str, Any]:
        """The answer to an order."""
        assert self.process.stdin and self.process.stdout
        print(json.dumps(order), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        assert line, f"the authors' code ended: {self.process.wait()}; its words stand above"
        return json.loads(line)

    def load(self, config: Config, state: dict[str, Tensor]) -> None:
        """Weights by the names of the authors' files."""
        file = self.folder / "weights.npz"
        np.savez(file, **{name: value.numpy() for name, value in state.items()})  # pyright: ignore[reportArgumentType]
        self.ask(do="load", sizes=sizes(config), file=str(file))

    def run(self, do: str, given: Tensor) -> dict[str, Tensor]:
        """What `encode` or `decode` gives, time last."""
        file, to = self.folder / "in.npz", self.folder / "out.npz"
        kind = np.float32 if given.is_floating_point() else np.int32
        np.savez(file, given=given.transpose(1, 2).numpy().astype(kind))
        self.ask(do=do, file=str(file), to=str(to))
        found = {name: torch.from_numpy(value).transpose(1, 2) for name, value in np.load(to).items()}
        return {name: value if value.is_floating_point() else value.long() for name, value in found.items()}

    def seconds(self) -> float:
        """CPU time of the last run, once more."""
        return self.ask(do="again")["seconds"]


@contextmanager
def official() -> Iterator[Official]:
    """A process with the authors' code; skips where none is named."""
    if not (python := os.environ.get(PYTHON)):
        pytest.skip(f"{PYTHON} names no Python with magenta-rt: {__name__.replace('.', '/')}.py says how to install one")
    few = {"XLA_FLAGS": ONE_THREAD} if torch.get_num_threads() == 1 else {}
    words = [python, str(Path(__file__).with_name("spectrostream_jax.py"))]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | few | {"JAX_PLATFORMS": "cpu"}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with TemporaryDirectory() as folder, subprocess.Popen(words, text=True, env=env, **pipes) as process:
        yield Official(process, Path(folder))
        process.stdin.close()  # pyright: ignore[reportOptionalMemberAccess]


def settled(codec: Official, config: Config, shapes: Shapes, seed: int) -> Facts:
    """Loads the recipe's weights, with codebooks around what reaches them and audio that is quiet -> what the recipe has to know."""
    codec.load(config, weights(shapes, seed, BLANK))
    wav = sound(1, 38_400, seed + 100)
    latents = codec.run("encode", wav)["latents"]
    facts = BLANK | {"middle": rounded(latents.mean((0, 2)), 3), "spread": rounded(latents.std((0, 2)) * 0.5, 3)}
    codec.load(config, weights(shapes, seed, facts))
    codes = codec.run("encode", wav)["codes"]
    facts |= {"quiet": round(0.2 / codec.run("decode", codes)["wav"].std().item(), 5)}
    codec.load(config, weights(shapes, seed, facts))
    return facts
