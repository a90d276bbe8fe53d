"""python -m tests.parity.write_quality_evaluators: official packages on the waves of the test, into quality_evaluators.json.

Needs, beside the packages of the suite, librosa, torchaudio, xls-r-sqa, pretty_midi and mir_eval: the test itself does not.
"""

from __future__ import annotations

import importlib.util
import json
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import torch

from bench.data import torchaudio_guard
from tests.parity.test_quality_evaluators import FILE, MUSIC_RATE, RATE, music, noisy, speech


def official() -> dict[str, object]:
    """Scores by evaluator: of each wave of speech, and the notes of both waves of music."""
    torchaudio_guard.guard()
    import distillmos
    from basic_pitch.inference import Model, predict
    from mir_eval.transcription import precision_recall_f1_overlap
    from speechmos import dnsmos, plcmos

    found: dict[str, object] = {}
    model = distillmos.ConvTransformerSQAModel().eval()
    with torch.no_grad():
        found["distill_mos"] = [[float(model(wav[None]))] for wav in speech()]
    names = ("sig_mos", "bak_mos", "ovrl_mos", "p808_mos")
    found["dnsmos"] = [[float(dnsmos.run(wav.numpy(), RATE)[name]) for name in names] for wav in speech()]  # pyright: ignore[reportArgumentType, reportCallIssue]
    rated = []
    for wav in speech():
        np.random.seed(0)  # the package draws from numpy's global generator
        rated.append([float(plcmos.run(wav.numpy(), RATE)["plcmos"])])  # pyright: ignore[reportArgumentType, reportCallIssue]
    found["plcmos"] = rated
    where = importlib.util.find_spec("basic_pitch")
    assert where is not None and where.origin is not None
    network = Model(Path(where.origin).parent / "saved_models" / "icassp_2022" / "nmp.onnx")
    notes = []
    with tempfile.TemporaryDirectory() as folder:
        for wav in (music(), noisy(music())):
            soundfile.write(f"{folder}/x.wav", wav.numpy(), MUSIC_RATE, subtype="FLOAT")
            _, _, events = predict(f"{folder}/x.wav", network)
            notes.append(sorted([float(event[0]), int(event[2])] for event in events))
    sides = [
        (np.array([[onset, onset + 1] for onset, _ in side]), np.array([440 * 2 ** ((pitch - 69) / 12) for _, pitch in side]))
        for side in notes
    ]
    found["notes"] = notes
    found["note_f1"] = float(precision_recall_f1_overlap(*sides[0], *sides[1], offset_ratio=None)[2])  # pyright: ignore[reportArgumentType]
    return found


if __name__ == "__main__":
    FILE.write_text(json.dumps(official(), indent=1) + "\n", encoding="utf-8")
    print(FILE)
