"""The authors' SpectroStream (magenta-rt 2.0.3, JAX), in a process of its own: it needs neither torch nor this project.

    python spectrostream_jax.py

It answers lines of JSON on standard input, one each, with a line of JSON. Arrays go through the .npz files that the lines name.

    {"do": "shapes", "sizes": {"encoder_base_conv_depth": 4, ...}}            -> {"params/encoder/...": [7, 7, 2, 4], ...}
    {"do": "load", "sizes": {...}, "file": "weights.npz"}                     arrays under the names of the authors' files
    {"do": "encode" or "decode", "file": "in.npz", "to": "out.npz"}           -> {"seconds": CPU time}
    {"do": "again"}                                                           the last of these without files, and without compiling

encode: wav [B, T, 2] -> codes [B, F, K] and latents [B, F, D]. decode: codes -> wav [B, 1920 (F - 1), 2], and `ended`, [B, 1920 F, 2]: what
comes of the same vectors with a frame of zeros behind them.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from typing import Any

import flax  # pyright: ignore[reportMissingImports]
import jax  # pyright: ignore[reportMissingImports]
import jax.numpy as jnp  # pyright: ignore[reportMissingImports]
import numpy as np
from magenta_rt.jax import spectrostream  # pyright: ignore[reportMissingImports]

layers: Any = spectrostream.sl  # sequence_layers, which it brings

Arrays = dict[str, Any]


def configured(sizes: dict[str, int]) -> Any:
    """The official configuration, but for these sizes; num_quantizers, num_embeddings and embedding_dim are the quantizer's."""
    official = spectrostream.stft_spectrostream_40ms_generic_48khz_stereo_config()
    of_quantizer = {name: size for name, size in sizes.items() if hasattr(official.quantizer, name)}
    others = {name: size for name, size in sizes.items() if name not in of_quantizer}
    return dataclasses.replace(official, **others, quantizer=dataclasses.replace(official.quantizer, **of_quantizer))


def shapes(sizes: dict[str, int]) -> dict[str, list[int]]:
    """Of every parameter, by its name."""
    model, wav = configured(sizes).make(), layers.Sequence.from_values(jnp.zeros((1, 3840, 2)))
    found = jax.eval_shape(lambda key: model.init(key, wav, training=False), jax.random.key(0))
    flat = flax.traverse_util.flatten_dict(flax.core.meta.unbox(found), sep="/")
    return {name: list(value.shape) for name, value in sorted(flat.items())}


class Codec:
    """The authors' model, compiled for every shape that it meets."""

    def __init__(self, sizes: dict[str, int]):
        self.sizes, self.model, self.weights = sizes, configured(sizes).make(), dict[str, Any]()
        self.compiled = {do: jax.jit(getattr(self, f"_{do}")) for do in ("encode", "decode", "end")}

    def load(self, weights: Arrays) -> None:
        self.weights = flax.traverse_util.unflatten_dict({name: jnp.asarray(value) for name, value in weights.items()}, sep="/")

    def run(self, do: str, given: Any) -> Arrays:
        return jax.block_until_ready(self.compiled[do](self.weights, given))

    def _encode(self, weights: Arrays, wav: Any) -> Arrays:
        x = layers.Sequence.from_values(wav)
        latents = self.model.apply(weights, x, method=self.model.waveform_to_embeddings, training=False)
        codes = self.model.apply(weights, latents, method=lambda model, x: model.quantizer.embeddings_to_codes(x))
        return {"codes": codes.values, "latents": latents.values}

    def _decode(self, weights: Arrays, codes: Any) -> Arrays:
        x = layers.Sequence.from_values(codes)
        return {"wav": self.model.apply(weights, x, method=self.model.codes_to_waveform, training=False).values}

    def _end(self, weights: Arrays, codes: Any) -> Arrays:
        x = layers.Sequence.from_values(codes)
        found = self.model.apply(weights, x, method=lambda model, x: model.quantizer.codes_to_embeddings(x)).values
        longer = layers.Sequence.from_values(jnp.pad(found, ((0, 0), (0, 1), (0, 0))))
        return {"ended": self.model.apply(weights, longer, method=self.model.embeddings_to_waveform, training=False).values}


def main() -> None:
    codec: Codec | None = None
    last: tuple[str, Any] = "", None
    for line in sys.stdin:
        order, answer = json.loads(line), dict[str, Any]()
        files = dict(np.load(order["file"])) if "file" in order else {}
        if order["do"] == "shapes":
            answer = shapes(order["sizes"])
        elif order["do"] == "load":
            codec = codec if codec and codec.sizes == order["sizes"] else Codec(order["sizes"])
            codec.load(files)
        else:
            assert codec is not None
            last = last if order["do"] == "again" else (order["do"], jnp.asarray(files["given"]))
            start = time.process_time()
            found = codec.run(*last)
            answer = {"seconds": time.process_time() - start}
            if "to" in order:
                found = found | codec.run("end", last[1]) if last[0] == "decode" else found
                arrays: Arrays = {name: np.asarray(value) for name, value in found.items()}
                np.savez(order["to"], **arrays)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
