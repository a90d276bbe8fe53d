"""The quality evaluators beside their official packages: distillmos 0.9.1, speechmos 0.0.1.1, basic-pitch 0.4.0, and ViSQOL's C++ code.

The packages' own API needs librosa, torchaudio and more; what it says of the waves here stands in quality_evaluators.json, which
write_quality_evaluators.py has written.
"""

import json
import os
from pathlib import Path

import pytest
import soundfile
import torch
from torch import Tensor

from bench.api import UserError
from bench.evaluators import basic_pitch, quality, visqol, warpq
from bench.evaluators.sounds import Ask, Sound
from tests.conftest import speech_like

FILE = Path(__file__).with_name("quality_evaluators.json")
RATE, MUSIC_RATE = 16_000, 22_050
TESTDATA = "VISQOL_TESTDATA"  # the folder testdata of github.com/google/visqol
CONFORMANCE = {  # what the C++ code gives, from its src/include/conformance.h
    ("audio", "steely48_stereo.wav", "steely48_stereo_lp7.wav"): 2.2501683734385183,
    ("audio", "strauss48_stereo.wav", "strauss48_stereo_lp35.wav"): 1.3888791489130758,
    ("audio", "guitar48_stereo.wav", "guitar48_stereo_64kbps_aac.wav"): 4.349722308064298,
    ("audio", "glock48_stereo.wav", "glock48_stereo_48kbps_aac.wav"): 4.332452943882108,
    ("audio", "contrabassoon48_stereo.wav", "contrabassoon48_stereo_24kbps_aac.wav"): 2.346868205375293,
    ("audio", "ravel48_stereo.wav", "ravel48_stereo_128kbps_opus.wav"): 4.465141897255348,
    ("speech", "CA01_01.wav", "transcoded_CA01_01.wav"): 3.3129234313964844,
}

WARPQ = (  # noise, and what warpq 1.5.2 gives with apply_vad=False: its raw score, and the costs of the patches
    (0.0, 0.583, [0.634, 0.943, 0.577, 0.522, 0.858, 0.588, 0.494, 0.538]),
    (0.001, 2.787, [2.864, 2.334, 2.699, 2.71, 2.286, 2.909, 3.242, 2.919]),
    (0.03, 3.093, [3.17, 2.955, 3.071, 3.038, 2.939, 3.305, 3.444, 3.114]),
)


def speech() -> list[Tensor]:
    """Shorter and longer than every window: clean, noisy and clipped."""
    clean = speech_like(3.3, RATE, 3)
    return [clean, noisy(speech_like(11.1, RATE, 1)), (20 * speech_like(1.2, RATE, 2)).clamp(-0.9, 0.9)]


def noisy(wav: Tensor) -> Tensor:
    """With white noise 0.03 full scale strong."""
    return (wav + 0.03 * torch.randn(len(wav), generator=torch.Generator().manual_seed(0))).clamp(-1, 1)


def music() -> Tensor:
    """Twelve plucked tones, and a chord below them, at 22,050 Hz."""
    time = torch.arange(MUSIC_RATE * 5) / MUSIC_RATE

    def tone(pitch: float, start: float) -> Tensor:
        hz, since = 440 * 2 ** ((pitch - 69) / 12), (time - start).clamp(min=0)
        partials = [torch.sin(2 * torch.pi * k * hz * since) * torch.exp(-2 * k * since) / k for k in range(1, 7)]
        return torch.stack(partials).sum(0) * (time >= start)

    melody = [tone(pitch, 0.2 + 0.37 * i) for i, pitch in enumerate((60, 64, 67, 72, 71, 67, 65, 62, 59, 60, 64, 60))]
    return 0.1 * torch.stack([*melody, *(tone(pitch, 1.0) for pitch in (48, 52, 55))]).sum(0)


def loaded(name: str) -> Ask:
    """An evaluator; the test is skipped where its package is not installed."""
    try:
        return quality.loaded(
            next(e for e in quality.GROUPS["default"] if isinstance(e, quality.QualityEvaluator) and e.name == name), "cpu"
        )
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def golden() -> dict:
    """What the packages said."""
    return json.loads(FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "tolerance"), [("distill_mos", 1e-4), ("dnsmos", 1e-4), ("plcmos", 1e-4)])
def test_an_evaluator_says_what_its_package_says(name: str, tolerance: float, golden: dict) -> None:
    ask = loaded(name)
    sounds = [Sound(wav) for wav in speech()]
    found = ask(sounds)
    assert [list(answer) for answer in found] == [pytest.approx(answer, abs=tolerance) for answer in golden[name]]
    assert ask(sounds[:1])[0] == pytest.approx(found[0], abs=1e-5), "in a batch as alone"


def test_the_notes_and_their_f1_are_those_of_basic_pitch_and_mir_eval(golden: dict) -> None:
    ask = loaded("basic_pitch")
    waves = (music(), noisy(music()))
    heard = [basic_pitch.notes_of(wav) for wav in waves]
    for side, expected in zip(heard, golden["notes"], strict=True):
        assert [note.pitch for note in side] == [pitch for _, pitch in expected]
        assert [note.onset for note in side] == pytest.approx([onset for onset, _ in expected], abs=1e-6)
    assert len(heard[0]) >= 12 and heard[0] != heard[1]
    (answer,) = ask([Sound(waves[1], waves[0])])
    assert answer == pytest.approx((golden["note_f1"],), abs=1e-9) and 0 < golden["note_f1"] < 1


@pytest.mark.parametrize(("noise", "raw", "costs"), WARPQ)
def test_warpq_is_that_of_its_package(noise: float, raw: float, costs: list[float]) -> None:
    ref = speech_like(1.6, RATE, 3)
    est = ref + noise * torch.randn(len(ref), generator=torch.Generator().manual_seed(0))
    (answer,) = quality.loaded(quality.WARPQ, "cpu")([Sound(est, ref)])
    assert answer == pytest.approx((raw,), abs=6e-4)  # the package rounds to three digits
    sides = [warpq.normalised(warpq.mfcc(side)) for side in (ref, est)]
    assert warpq.costs(*sides).tolist() == pytest.approx(costs, abs=6e-4)


@pytest.mark.parametrize(("mode", "ref", "est"), CONFORMANCE, ids=lambda word: word.removesuffix(".wav"))
def test_visqol_conforms_to_the_c_plus_plus_code(mode: visqol.Mode, ref: str, est: str) -> None:
    if not (folder := os.environ.get(TESTDATA)):
        pytest.skip(f"{TESTDATA} names no folder testdata of github.com/google/visqol")
    ask = loaded(f"visqol_{mode}")
    place = Path(folder) / ("clean_speech" if mode == "speech" else "conformance_testdata_subset")
    sides = [soundfile.read(place / name, dtype="float32", always_2d=True) for name in (ref, est)]
    ref_wav, est_wav = (torch.from_numpy(wav).mean(1) for wav, _ in sides)
    if mode == "speech":  # the C++ code's own test, at the file's 48 kHz
        answer = visqol.judge(mode).measure_from_arrays(ref_wav.double().numpy(), est_wav.double().numpy(), sides[0][1]).moslqo
    else:
        ((answer,),) = ask([Sound(est_wav, ref_wav)])
    assert answer == pytest.approx(CONFORMANCE[mode, ref, est], abs=1e-3 if mode == "audio" else 5e-3)
