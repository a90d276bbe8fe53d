"""Audio in scripts: lossless where it is said to be, never cut, and refused when it is not what its name says."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from bench.api import UserError
from bench.data.audio import resample
from bench.listening import carrier
from tests.conftest import speech_like


def test_flac_gives_every_sample_back_to_16_bits(tmp_path: Path) -> None:
    wav = speech_like(1.0, 16_000)
    carried = carrier.carry(wav, 16_000)
    name = carrier.write(tmp_path, carried)
    heard, rate = soundfile.read(io.BytesIO(carrier.content_of(tmp_path / name)), dtype="float32")
    assert rate == 16_000 and len(heard) == len(wav) and carried.stored_db == 0
    assert np.abs(heard - wav.numpy()).max() <= 1 / 32768


def test_what_peaks_above_full_scale_is_stored_softer_and_says_so(tmp_path: Path) -> None:
    wav = 3 * speech_like(1.0, 16_000) / speech_like(1.0, 16_000).abs().max()
    carried = carrier.carry(wav, 16_000)
    heard, _ = soundfile.read(io.BytesIO(carried.content), dtype="float32")
    assert np.abs(heard / 10 ** (carried.stored_db / 20) - wav.numpy()).max() < 2e-4 and np.abs(heard).max() < 1


def test_opus_is_the_same_each_time_and_sounds_like_what_it_was_made_of() -> None:
    wav = speech_like(2.0, 24_000)
    content = carrier.opus(wav, 24_000, 48_000)
    assert content == carrier.opus(wav, 24_000, 48_000)
    heard, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    assert rate == 48_000 and 1.98 < len(heard) / rate < 2.02 and len(content) < 2 * 10_000
    ref = resample(wav[None], 24_000, rate)[0].numpy()[: len(heard)]
    assert np.corrcoef(ref, heard[: len(ref)])[0, 1] > 0.95


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / carrier.write(tmp_path, carrier.carry(torch.zeros(800), 16_000))
    carrier.content_of(path)
    for text in (path.read_text().replace("A", "B", 1), "alert(1);\n" + path.read_text(), "", 'sound("00", "x");\n'):
        path.write_text(text)
        with pytest.raises(UserError, match="make the page again"):
            carrier.content_of(path)
