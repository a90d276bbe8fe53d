"""How fast DAC is beside the authors' package and transformers' port, with the same weights on the same sound.

    OMP_NUM_THREADS=1 pytest tests/perf/test_dac_speed.py -m perf -s                       10 s of sound, batches of 1 and 8
    SPEED_SECONDS=2 SPEED_BATCHES=1 SPEED_VARIANTS=44khz pytest tests/perf/test_dac_speed.py -m perf -s

The three take turns, so that all see the same machine; a cell is the median. Times are printed, not asserted; what is asserted is that
codes and audio of the very tensors that were timed are equal. Run it with nothing else on the machine.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bench.tokenizers.dac import DAC, port_names
from tests.parity.test_dac import alive, noise, ours, untied

pytestmark = pytest.mark.perf
SECONDS = float(os.environ.get("SPEED_SECONDS", "10"))
BATCHES = tuple(int(size) for size in os.environ.get("SPEED_BATCHES", "1,8").split(","))
VARIANTS = tuple(os.environ.get("SPEED_VARIANTS", "16khz,24khz,44khz").split(","))
TURNS = 3
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"))]

Call = Callable[[], Tensor]


def port_of(model: DAC):
    """transformers' model with the weights of ours."""
    transformers = pytest.importorskip("transformers")
    config = model.config
    port = transformers.DacModel(
        transformers.DacConfig(downsampling_ratios=config.waveform.rates, n_codebooks=config.levels, sampling_rate=config.sample_rate)
    ).eval()
    back, state = {mine: theirs for theirs, mine in port_names(4).items()}, {}
    for name, value in model.state_dict().items():
        module, _, leaf = name.replace("quantizer.layers.", "quantizer.quantizers.").rpartition(".")
        state[f"{back.get(module, module)}.{leaf}"] = value[None, :, None] if leaf == "alpha" else value
    port.load_state_dict(state, strict=True)
    return port


def in_turns(calls: dict[str, Call], device: str) -> dict[str, float]:
    """Median seconds of each call; all of them once before, so that every one is warm."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(TURNS + 1):
        for name, call in calls.items():
            if device == "cuda":
                torch.cuda.synchronize()
            start = time.perf_counter()
            call()
            if device == "cuda":
                torch.cuda.synchronize()
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in times.items()}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", VARIANTS)
def test_speed_beside_the_public_implementations(name: str, batch: int, device: str) -> None:
    official = alive(name, 0)
    model = ours(name, official).to(device)
    port, official = port_of(model).to(device), official.to(device)
    hop, rate = model.config.hop, model.config.sample_rate
    wav = noise((batch, 1, int(SECONDS * rate) // hop * hop), 1, rate).to(device)
    with torch.inference_mode():
        codes = official.encode(wav)[1]
        encoders: dict[str, Call] = {
            "ours": lambda: model.encode(wav),
            "dac": lambda: official.encode(wav)[1],
            "transformers": lambda: port.encode(wav).audio_codes,
        }
        decoders: dict[str, Call] = {
            "ours": lambda: model.decode(codes),
            "dac": lambda: official.decode(official.quantizer.from_codes(codes)[0]),
            "transformers": lambda: port.decode(audio_codes=codes).audio_values[:, None],
        }
        assert untied(official, official.encoder(wav), model.encode(wav), codes) == 0
        error = (decoders["ours"]() - decoders["dac"]()).abs().max()
        assert error < 1e-5
        share = (model.encode(wav) == codes).double().mean()
        print(f"\ndac@{name}, {device}, {torch.get_num_threads()} threads, {batch} x {SECONDS:g} s")
        print(f"  codes {share:.4%} equal, largest difference of the audio {error:.1e}")
        for side, calls in (("encode", encoders), ("decode", decoders)):
            taken = in_turns(calls, device)
            for who, seconds in taken.items():
                ratio = f"ours is {seconds / taken['ours']:.2f} x as fast" if who != "ours" else ""
                print(f"  {side} {who:12} {seconds:8.3f} s {batch * SECONDS / seconds:8.2f} x real time  {ratio}")
