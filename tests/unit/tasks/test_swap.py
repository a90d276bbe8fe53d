"""The swap suite on sounds that are made of what is said and who says it, by tokenizers that hold the two apart, in either order."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import pytest
import soundfile
import torch
from torch import Tensor

from bench import registry
from bench.api import Codebook, Codes, Data, Spec, UserError, Variant
from bench.data.manifests import open_data
from bench.engine.run import Options, Run, refuse, run
from bench.evaluators.asr import AsrJudge
from bench.evaluators.speaker import SpeakerEncoder, SpeakerJudge
from bench.python.scored_audio import without_codes
from bench.tasks.swap import SUITE, metrics, parts, suite, tried
from bench.tokens.swaps import mixed, partners
from tests.one_run import column, mean

RATE, FRAME = 16_000, 800
PITCHES = (100.0, 160.0, 240.0)
TEXTS = ("dog", "hen", "cow", "ape")


def sound(loud: Tensor, pitch: Tensor) -> Tensor:
    """Frames that are loud or not, at one of the pitches -> [T]."""
    time = torch.arange(FRAME) / RATE
    tones = torch.sin(2 * torch.pi * torch.tensor(PITCHES)[pitch][:, None] * time)
    return (tones * (0.1 + 0.4 * loud[:, None])).reshape(-1)


def bits(text: str) -> Tensor:
    return torch.tensor([int(bit) for letter in text for bit in f"{ord(letter):08b}"])


class Hears:
    """A recognizer that reads the bits."""

    key, in_workers = "", False

    def __init__(self) -> None:
        self.unknown: Mapping[str, int] = {}

    def hears(self, language: str) -> bool:
        return True

    def transcribe(self, wav: Tensor, language: str) -> str:
        loud = (wav[: len(wav) // FRAME * FRAME].reshape(-1, FRAME).square().mean(-1) > 0.02).int().tolist()
        letters = ["".join(map(str, loud[i : i + 8])) for i in range(0, len(loud), 8)]
        return "".join(chr(int(letter, 2)) for letter in letters if 96 < int(letter, 2) < 123)

    def normalise(self, text: str, language: str) -> str:
        return text


def encoder(device: str) -> SpeakerEncoder:
    def embed(wav: Tensor, /) -> Tensor:
        time = torch.arange(len(wav)) / RATE
        waves = torch.exp(2j * torch.pi * torch.tensor(PITCHES)[:, None] * time)
        return torch.nn.functional.normalize((waves @ wav.to(waves.dtype)).abs(), dim=0)

    return embed


JUDGES = (AsrJudge("bits", "ab" * 32, "", lambda clips, device: Hears()), SpeakerJudge("pitch", "cd" * 32, "", encoder))
CONTENT, VOICE = Codebook(2, RATE / FRAME, role="content"), Codebook(3, RATE / FRAME, role="timbre")


class Apart:
    """Codes: loud or not, and the pitch; the content first, or last."""

    def __init__(self, spec: Spec, first: int = 0):
        self.spec, self.first = spec, first

    def encode(self, wav: Tensor) -> Tensor:
        frames = torch.nn.functional.pad(wav[:, 0], (0, -wav.shape[-1] % FRAME)).unflatten(-1, (-1, FRAME))
        waves = torch.exp(2j * torch.pi * torch.tensor(PITCHES)[:, None] * torch.arange(FRAME) / RATE)
        pitch = (frames.to(waves.dtype) @ waves.T).abs().argmax(-1)
        both = [(frames.square().mean(-1) > 0.02).long(), pitch]
        return torch.stack(both[:: -1 if self.first else 1], dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        loud, pitch = codes[:, self.first], codes[:, 1 - self.first]
        return torch.stack([sound(*item) for item in zip(loud, pitch, strict=True)])[:, None]


def apart(first: int) -> Variant:
    books = (CONTENT, VOICE) if first == 0 else (Codebook(3, RATE / FRAME), Codebook(2, RATE / FRAME))
    return Variant(Spec("apart", str(first), RATE, books), partial(Apart, first=first), code=f"of this test {first}")


class Global:
    """The same with the pitch sent once, as a side code."""

    def __init__(self, spec: Spec):
        self.spec, self.apart = spec, Apart(spec)

    def encode(self, wav: Tensor) -> tuple[Tensor, Tensor]:
        loud, pitch = self.apart.encode(wav).unbind(1)
        return loud[:, None], pitch.mode(-1).values[:, None, None]

    def decode(self, codes: Tensor, side: Tensor) -> Tensor:
        return self.apart.decode(torch.cat([codes, side.expand(-1, 1, codes.shape[-1])], dim=1))


SIDE = Spec("global", "v", RATE, (CONTENT,), side=(Codebook(3, 0, role="timbre"),))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = tmp_path_factory.mktemp("data")
    lines = []
    for text in TEXTS:
        for voice in range(len(PITCHES)):
            loud = bits(text)
            soundfile.write(folder / f"{text}{voice}.wav", sound(loud, torch.full_like(loud, voice)).numpy(), RATE)
            lines.append(f'{{"path": "{text}{voice}.wav", "id": "{text}{voice}", "text": "{text}", "speaker": "v{voice}"}}\n')
    lines.append('{"path": "dog0.wav", "id": "nobody", "text": "dog"}\n{"path": "hen0.wav", "id": "tune", "domain": "music"}\n')
    (folder / "manifest.jsonl").write_text("".join(lines))
    return open_data(str(folder / "manifest.jsonl"))


@pytest.fixture(scope="module")
def runs(data: Data, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    variants = [apart(0), apart(1), Variant(SIDE, cast(Any, Global), code="of this test, too"), registry.variant("mulaw@8bit")]
    done = run(variants, suite(JUDGES), data, Options(tmp_path_factory.mktemp("runs"), workers=1))
    return {one.variant.spec.label: one for one in done}


def test_a_first_codebook_that_holds_the_content_keeps_the_text_and_takes_the_other_voice(runs: dict[str, Run]) -> None:
    done = runs["apart@0"]
    assert not done.failed
    assert mean(done, "swap_cer_bits") == 0 and mean(done, "swap_spk_voice_pitch") > 0.95 and mean(done, "swap_spk_content_pitch") < 0.2
    assert mean(done, "swap_cer_bits_k0") > 0.6 and mean(done, "swap_spk_voice_pitch_k0") > 0.95
    assert mean(done, "swap_cer_bits_all") == 0 and mean(done, "swap_spk_content_pitch_all") > 0.95
    assert mean(done, "swap_spk_voice_pitch_all") < 0.2 and column(done, "swap_cer_bits_k2") == {}
    odd = column(done, "swap_cer_bits")["nobody"]
    assert math.isnan(odd.value) and "no speaker" in odd.note and "tune" not in column(done, "swap_cer_bits")
    assert len(column(done, "swap_cer_bits")) == 13 and column(done, "swap_cer_bits")["dog0"].weight == 3


def test_a_first_codebook_that_holds_the_voice_loses_the_text_and_keeps_its_voice(runs: dict[str, Run]) -> None:
    done = runs["apart@1"]
    assert mean(done, "swap_cer_bits") > 0.6 and mean(done, "swap_spk_voice_pitch") < 0.2 and mean(done, "swap_spk_content_pitch") > 0.95
    assert mean(done, "swap_cer_bits_all") == 0


def test_side_codes_are_the_last_to_be_swapped(runs: dict[str, Run]) -> None:
    done = runs["global@v"]
    assert not done.failed and mean(done, "swap_cer_bits") == 0
    assert mean(done, "swap_spk_voice_pitch") > 0.95 and mean(done, "swap_spk_content_pitch_all") > 0.95


def test_one_codebook_has_nothing_to_swap_and_says_so(runs: dict[str, Run], data: Data) -> None:
    rows = column(runs["mulaw@8bit"], "swap_cer_bits")
    assert len(rows) == 13 and all(math.isnan(row.value) and "one codebook" in row.note for row in rows.values())
    with pytest.raises(UserError, match="needs decoded audio"):
        refuse([registry.variant("random_codes@1024")], SUITE, data, Options())
    with pytest.raises(UserError, match="needs codes"):
        without_codes(SUITE)


def test_pairs_are_of_two_voices_and_two_texts_and_follow_the_seed(data: Data) -> None:
    clips = {clip.id: clip for clip in data.clips}
    found = partners(data.clips, 0)
    assert found.keys() == clips.keys() - {"nobody", "tune"}
    assert all(clips[name].speaker != other.speaker and clips[name].text != other.text for name, other in found.items())
    assert partners(data.clips[::-1], 0) == found != partners(data.clips, 1)
    assert partners([clip for clip in data.clips if clip.text == "dog"], 0) == {}


def test_what_is_taken_of_each() -> None:
    content, voice = Codes(torch.arange(10).reshape(1, 2, 5)), Codes(torch.arange(20, 26).reshape(1, 2, 3))
    assert mixed(content, voice, [0], False).frames.tolist() == [[[0, 1, 2, 3, 4], [23, 24, 25, 23, 24]]]
    assert mixed(content, voice, [], False).frames[0, 0].tolist() == [20, 21, 22, 20, 21]
    assert voice.frames.tolist() == torch.arange(20, 26).reshape(1, 2, 3).tolist(), "what is mixed stays as it is"
    snac = Spec("s", "v", 24_000, (*(Codebook(8, 12.5, table=t) for t in "abbcccc"),))
    assert parts(snac) == [[0], [1, 2], [3, 4, 5, 6]] and tried(snac) == ["k0", "k1", "k2", "all"]
    late = Spec("l", "v", 16_000, (Codebook(8, 50), Codebook(8, 50, role="semantic")))
    assert parts(late) == [[1], [0]]


def test_columns_and_judges_by_name() -> None:
    names = [metric.name for metric in metrics(JUDGES)]
    assert len(names) == len(set(names)) and set(suite(JUDGES).headline) <= set(names)
    assert "pocketsphinx" in SUITE.judge and "resemblyzer" in SUITE.judge
    assert SUITE.with_judge is not None
    other = SUITE.with_judge(";wavlm-base-plus-sv")
    assert "pocketsphinx" in other.judge and "wavlm" in other.judge
    assert "whisper_tiny" in SUITE.with_judge("tiny;").judge
