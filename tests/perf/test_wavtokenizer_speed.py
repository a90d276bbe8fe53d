"""How fast WavTokenizer is beside the authors' code, with the same weights on the same sound.

    git clone https://github.com/jishengpeng/WavTokenizer
    WAVTOKENIZER_CHECKOUT=WavTokenizer OMP_NUM_THREADS=1 pytest tests/perf/test_wavtokenizer_speed.py -m perf -s
    SPEED_SECONDS=2 SPEED_BATCHES=1 SPEED_RATES=75 ...

The two take turns, so that both see the same machine; a cell is the median. Times are printed, not asserted; what is asserted is that
codes and audio of the very tensors that were timed are equal. Run it with nothing else on the machine. The authors' code cannot be
installed: without the path of a checkout the test skips itself.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from bench.tokenizers.wavtokenizer import CONFIGS, VARIANTS, WavTokenizer, renamed
from tests.parity.wavtokenizer_recipe import sound, stored, weights
from tests.parity.write_wavtokenizer import BANDWIDTH, fill, official_model
from tests.perf.test_dac_speed import Call, in_turns

pytestmark = pytest.mark.perf
SECONDS = float(os.environ.get("SPEED_SECONDS", "10"))
BATCHES = tuple(int(size) for size in os.environ.get("SPEED_BATCHES", "1,8").split(","))
RATES = tuple(os.environ.get("SPEED_RATES", "75,40").split(","))
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"))]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("rate", RATES)
def test_speed_beside_the_authors(rate: str, batch: int, device: str) -> None:
    checkout = os.environ.get("WAVTOKENIZER_CHECKOUT")
    if not checkout:
        pytest.skip("name a checkout of the authors' code in WAVTOKENIZER_CHECKOUT")
    facts = stored()[rate]
    run = facts["runs"][0]
    state = weights(facts["shapes"], run["seed"], run["middle"], run["spread"])
    official = official_model(Path(checkout).resolve(), rate)
    fill(official, state)
    model = WavTokenizer(CONFIGS[f"{rate}tps"], VARIANTS[f"small-{rate}tps"].spec).eval()
    model.load_state_dict(renamed(state), strict=True)
    official, model, bandwidth = official.to(device), model.to(device), BANDWIDTH.to(device)
    wav = sound(batch, int(SECONDS * 24_000), 0).to(device)
    with torch.inference_mode():
        codes = official.encode_infer(wav[:, 0], bandwidth_id=bandwidth)[1].transpose(0, 1)
        encoders: dict[str, Call] = {
            "ours": lambda: model.encode(wav),
            "the authors": lambda: official.encode_infer(wav[:, 0], bandwidth_id=bandwidth)[1],
        }
        decoders: dict[str, Call] = {
            "ours": lambda: model.decode(codes),
            "the authors": lambda: official.decode(official.codes_to_features(codes.transpose(0, 1)), bandwidth_id=bandwidth)[:, None],
        }
        share = (model.encode(wav) == codes).double().mean()
        error = (decoders["ours"]() - decoders["the authors"]()).abs().max()
        print(f"\nwavtokenizer@...-{rate}tps, {device}, {torch.get_num_threads()} threads, {batch} x {SECONDS:g} s")
        print(f"  codes {share:.4%} equal, largest difference of the audio {error:.1e}")
        assert share == 1 if device == "cpu" else share > 0.99
        assert error < (1e-5 if device == "cpu" else 1e-3)
        for side, calls in (("encode", encoders), ("decode", decoders)):
            taken = in_turns(calls, device)
            for who, seconds in taken.items():
                ratio = f"ours is {seconds / taken['ours']:.2f} x as fast" if who != "ours" else ""
                print(f"  {side} {who:12} {seconds:8.3f} s {batch * SECONDS / seconds:8.2f} x real time  {ratio}")
