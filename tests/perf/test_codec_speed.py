"""How fast our codecs are beside the public implementations: the same weights, the same sound, in turns. Run it on an idle machine:

    OMP_NUM_THREADS=1 pytest tests/perf/test_codec_speed.py -m perf -s
    SPEED_CLOCK=cpu OMP_NUM_THREADS=1 nice pytest tests/perf/test_codec_speed.py -m perf -s        # beside other work
    SPEED_FAMILIES=mimi,dac-44khz SPEED_BATCHES=1 SPEED_SECONDS=2 SPEED_TURNS=9 pytest tests/perf/test_codec_speed.py -m perf -s

The oracles are the packages `encodec`, `descript-audio-codec`, `moshi`, `snac`, `speechtokenizer`, `qwen-tts`, `dualcodec`, `focalcodec`,
`s3tokenizer`, `jukebox-infer`, `nemo_toolkit`, `ai-edge-litert` and `transformers`, and what these name; what is missing is skipped:

    AMPHION_CHECKOUT        https://github.com/open-mmlab/Amphion (FACodec)
    BICODEC_CHECKOUT        https://github.com/SparkAudio/Spark-TTS
    BIGCODEC_CHECKOUT       https://github.com/Aria-K-Alethia/BigCodec
    CPC_CHECKOUT            https://github.com/facebookresearch/CPC_audio
    ESC_CHECKOUT            https://github.com/yzGuu830/efficient-speech-codec
    FAIRSEQ_CHECKOUT        https://github.com/facebookresearch/fairseq (vq-wav2vec)
    GLM4_VOICE_CHECKOUT     https://github.com/THUDM/GLM-4-Voice
    LLM_CODEC_CHECKOUT      https://github.com/yangdongchao/LLM-Codec
    LYRA_WEIGHTS            the folder of Lyra's three files
    SPECTROSTREAM_PYTHON    a Python with `magenta-rt` (tests/parity/spectrostream_oracle.py)
    STABLE_CODEC_PACKAGES   the folder of Stable Codec's two packages
    TICODEC_CHECKOUT        https://github.com/y-ren16/TiCodec
    VOXTRAL_WHEEL           the wheel of vllm-omni (tests/parity/write_voxtral.py)
    WAVTOKENIZER_CHECKOUT   https://github.com/jishengpeng/WavTokenizer

Printed, not asserted: machines are noisy. What is asserted is that codes and audio of the very tensors that are timed are equal. A ratio
is the median over turns of (their time / our time), with the smallest and the largest beside it. "of floor" is the time that the
multiply-accumulates alone would take at the rate of a large matrix product, timed in the same run; "floor" after a ratio is what that
time would give: where it lies below a bar, only fewer multiplications could reach the bar on that machine. SPEED_CLOCK=cpu reads, on a
CPU, the process's own clock, which stands still while others work, though they take memory and caches from it. Without OMP_NUM_THREADS
all cores work.
"""

from __future__ import annotations

import os
import statistics
import time

import pytest
import torch

from bench.nn.onednn import linear
from bench.tokenizers import hubert_kmeans, wav2vec2_kmeans, wavlm_kmeans
from tests.perf.clip_contests import jukebox, ticodec
from tests.perf.codec_contests import dac, encodec, encodec_stereo, mimi, wavtokenizer_at
from tests.perf.contest import Contest, Contests, in_turns, ratio
from tests.perf.dualcodec_contests import dualcodec
from tests.perf.nemo_contests import nanocodec
from tests.perf.newer_contests import encodec_32khz, facodec, focalcodec, lyra, qwen3_tts, s3, snac, speechtokenizer, xcodec
from tests.perf.single_codebook_contests import bicodec, bigcodec
from tests.perf.spectrostream_contests import spectrostream
from tests.perf.taae_contests import stablecodec
from tests.perf.transformer_contests import esc, voxtral
from tests.perf.unit_contests import LARGE, STABLE, cpc, glm4_voice, units, vq_wav2vec, w2v_bert
from tests.perf.words_contests import llm_codec
from tests.perf.xcodec2_contests import semantic_snake

pytestmark = pytest.mark.perf
FAMILIES: dict[str, Contests] = {
    "encodec-24khz": encodec,
    "encodec-48khz": encodec_stereo,
    "dac-16khz": dac("16khz", 12.29, 27.82),
    "dac-24khz": dac("24khz", 18.47, 41.74),
    "dac-44khz": dac("44khz", 30.68, 69.32),
    "mimi": mimi,
    "wavtokenizer-75tps": wavtokenizer_at("75", 1.75, 4.80),
    "wavtokenizer-40tps": wavtokenizer_at("40", 0.92, 2.57),
    "encodec-32khz": encodec_32khz,
    "snac-24khz": snac("24khz", 2.41, 4.89),
    "snac-44khz": snac("44khz", 9.57, 24.40),
    "llm_codec": llm_codec,
    "stablecodec": stablecodec,
    "spectrostream": spectrostream,
    "speechtokenizer": speechtokenizer,
    "xcodec": xcodec,
    "bicodec": bicodec,
    "bigcodec": bigcodec,
    "esc": esc,
    "voxtral": voxtral,
    "xcodec2": semantic_snake("xcodec2"),
    "neucodec": semantic_snake("neucodec"),
    "dualcodec-12hz": dualcodec("12hz"),
    "dualcodec-25hz": dualcodec("25hz"),
    "qwen3_tts": qwen3_tts,
    "focalcodec-25hz": focalcodec("25hz"),
    "focalcodec-causal": focalcodec("50hz-4k-causal"),
    "facodec": facodec,
    "s3-v1": s3("v1"),
    "s3-v2": s3("v2"),
    "lyra": lyra,
    "ticodec": ticodec,
    "nanocodec": nanocodec,
    "jukebox-top": jukebox("top"),
    "jukebox-bottom": jukebox("bottom"),
    "hubert-l9": units(hubert_kmeans, "base-l9-km500", "Hubert", 6.25),
    "hubert-l6": units(hubert_kmeans, "base-l6-km100", "Hubert", 5.06),
    "wav2vec2-l6": units(wav2vec2_kmeans, "base-l6-km500", "Wav2Vec2", 5.06),
    "wavlm-l9": units(wavlm_kmeans, "base-plus-l9-km500", "WavLM"),
    "hubert-large": units(hubert_kmeans, "large-l18-km500", "Hubert", 15.14, conv_bias=True, **LARGE, **STABLE),
    "vq_wav2vec-gumbel": vq_wav2vec("gumbel"),
    "vq_wav2vec-kmeans": vq_wav2vec("kmeans"),
    "cpc-big": cpc,
    "w2v-bert-l17": w2v_bert,
    "glm4_voice": glm4_voice,
}
CHOSEN = os.environ.get("SPEED_FAMILIES", ",".join(FAMILIES)).split(",")
if strangers := set(CHOSEN) - set(FAMILIES):
    raise ValueError(f"SPEED_FAMILIES: {', '.join(sorted(strangers))} is none of {', '.join(FAMILIES)}")
BATCHES = [int(size) for size in os.environ.get("SPEED_BATCHES", "1,8").split(",")]
SECONDS = float(os.environ.get("SPEED_SECONDS", "10"))
TURNS = int(os.environ.get("SPEED_TURNS", "5"))
CLOCKS = {"cpu": time.process_time if os.environ.get("SPEED_CLOCK") == "cpu" else time.perf_counter, "cuda": time.perf_counter}
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"))]
BARS = "bars: never below 1; 1.3 x official at batch 1, 2 x at batch 8 on a CPU, 3 x frame by frame"


def product_rate(device: str) -> float:
    """Multiply-accumulates a second of a large matrix product, the faster of torch's own and oneDNN's."""
    layer, x = torch.nn.Linear(1024, 1024, device=device), torch.randn(4096, 1024, device=device)
    times = in_turns({"own": lambda: x @ layer.weight.T, "onednn": lambda: linear(layer, x)}, device, 9, CLOCKS[device])
    return 4096 * 1024**2 / min(statistics.median(taken) for taken in times.values())


def line(contest: Contest, times: dict[str, list[float]], seconds: float, floor: float) -> str:
    """A row: our time and how near the floor it is, then each rival's ratio."""
    mine = statistics.median(times["ours"])
    cells = [f"{contest.name:36} ours {1000 * mine:8.1f} ms {seconds / mine:7.1f} x real time"]
    cells.append(f"{100 * floor / mine:3.0f} % of floor" if contest.gmacs else " " * 14)
    for name in list(times)[1:]:
        reach = f" (floor {statistics.median(times[name]) / floor:.1f} x)" if contest.gmacs else ""
        cells.append(f"{name} {ratio(times[name], times['ours'])}{reach}")
    return "  ".join(cells)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("family", CHOSEN)
@torch.no_grad()  # not inference mode: weights that are made in it are ordered at every call
def test_speed(family: str, batch: int, device: str) -> None:
    rate = product_rate(device)
    print(f"\n{device}, {torch.get_num_threads()} threads, {batch} x {SECONDS:g} s, {TURNS} turns, product {rate / 1e9:.0f} GMAC/s; {BARS}")
    for contest in FAMILIES[family](batch, SECONDS, device):
        equal = contest.equal()
        times = in_turns(contest.calls, device, TURNS, CLOCKS[device])
        print(line(contest, times, batch * SECONDS, contest.gmacs * 1e9 * SECONDS * batch / rate), equal, sep="  ", flush=True)
