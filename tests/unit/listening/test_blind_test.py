"""The folder of a blind test: what is in it, what is hidden, and that nothing but the codec tells the sounds apart."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from bench.api import Audio, UserError
from bench.data import loudness
from bench.listening import anchors, blind_test, carrier, samples
from tests.conftest import speech_like
from tests.listeners import TOKENIZERS, conditions
from tests.listeners import blind_test as made_test
from tests.runs import made


@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
def test_the_low_anchor_is_the_filter_that_the_recommendation_asks_for(rate: int) -> None:
    response = np.fft.rfft(anchors.taps(rate, 3500), 1 << 16)
    hz, db = np.fft.rfftfreq(1 << 16, 1 / rate), 20 * np.log10(np.abs(response) + 1e-12)
    assert np.abs(db[hz <= 3500]).max() <= 0.1 and db[hz >= 4000].max() <= -25 and db[hz >= 4500].max() <= -50
    wav = speech_like(0.5, rate)
    low = torch.nn.functional.pad(wav, (0, 0))
    assert anchors.lowpass(low, rate, 3500).shape == wav.shape
    tone = torch.sin(2 * np.pi * 1000 * torch.arange(rate) / rate)
    assert (anchors.lowpass(tone, rate, 3500) - tone)[2000:-2000].abs().max() < 0.01, "in phase"


def test_a_test_has_the_hidden_reference_both_anchors_and_every_tokenizer(tmp_path: Path) -> None:
    test = made_test(tmp_path, items=2)
    names = [name for item, _, name in conditions(test) if item == "clip0"]
    assert sorted(names) == sorted(["reference", "anchor 3.5 kHz", "anchor 7 kHz", *TOKENIZERS])
    assert len({condition for _, condition, _ in conditions(test)}) == 12
    page = (test / "listeners" / "index.html").read_text()
    assert not [name for name in (*TOKENIZERS, "anchor 7") if name in page], "nothing says what a sound is"


def test_all_sounds_are_of_one_length_and_as_loud_as_the_reference_and_none_is_cut(tmp_path: Path) -> None:
    test = made_test(tmp_path, items=1, seconds=1.0)
    (item,) = json.loads((test / "key.json").read_text())["items"]
    heard = []
    for condition in item["conditions"]:
        content = carrier.content_of(test / "listeners" / condition["sound"]["file"])
        wav, rate = soundfile.read(io.BytesIO(content), dtype="float32")
        assert (len(wav), rate) == (48_000, 48_000) and np.abs(wav).max() < 1
        heard.append(loudness.loudness(torch.from_numpy(wav), rate))
    assert max(heard) - min(heard) < 0.05
    gains = {c["name"]: c["gain_db"] for c in item["conditions"]}
    assert gains["reference"] == 0 and abs(gains["good@a"] - 20 * np.log10(3)) < 0.5, "it was made three times softer"


def test_the_same_seed_gives_the_same_test_and_another_one_other_names(tmp_path: Path) -> None:
    keys = [(made_test(tmp_path / str(i), items=1, seed=seed) / "key.json").read_text() for i, seed in enumerate((0, 0, 1))]
    assert keys[0] == keys[1]
    assert not {c for _, c, _ in conditions(tmp_path / "0" / "test")} & {c for _, c, _ in conditions(tmp_path / "2" / "test")}


def test_what_would_be_no_test_is_refused(tmp_path: Path) -> None:
    test = made_test(tmp_path, items=1)
    many = [made(f"t@{i}", {"speech": {"quality": {"a": 1.0}}}) for i in range(10)]
    for runs, clips, message in ((many, ["a"], "room for 9"), (many[:1] * 2, ["a"], "named twice"), (many[:2], [], "no clip")):
        with pytest.raises(UserError, match=message):
            blind_test.refuse(runs, blind_test.Plan("", 0, clips), tmp_path / "new")
    with pytest.raises(UserError, match="holds a test already"):
        blind_test.refuse(many[:2], blind_test.Plan("", 0, ["a"]), test)


def test_an_anchor_above_what_the_original_has_is_left_out() -> None:
    assert anchors.audible(16_000, 7000) and anchors.audible(8_000, 3000)
    assert not anchors.audible(8_000, 7000) and not anchors.audible(8_000, 3500)


def test_a_delay_that_a_tokenizer_states_is_taken_out() -> None:
    click = torch.zeros(1, 1600)
    click[0, 500] = 1.0
    found = samples.undelayed(Audio(click, 16_000), 100)
    assert found.wav.shape == (1, 1600) and int(found.wav.argmax()) == 400
    heard = blind_test._reconstruction(Audio(click, 16_000), 100, 4000)
    assert heard.shape == (4000,) and int(heard.argmax()) == 1200, "at 48 kHz"
