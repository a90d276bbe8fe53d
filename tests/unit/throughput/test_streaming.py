"""Streams and lookahead of toys whose answers are known, on a clock that is turned by hand."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench import registry
from bench.api import Codebook, Spec
from bench.data import synthetic_audio
from bench.throughput import streaming
from bench.throughput.streaming import _late, lookahead, streamed

RATE = 16_000
HOP = 160


class Ahead:
    """Means of frames, each of them with `future` later samples; a frame is decoded as a step that begins `early` samples too soon."""

    def __init__(self, future: int = 0, early: int = 0, delay: int = 0, whole: bool = False):
        self.future, self.early, self.whole = future, early, whole
        self.spec = Spec("toy", "v", RATE, (Codebook(2**16, RATE / HOP),), delay=delay)

    def encode(self, wav: Tensor) -> Tensor:
        padded = F.pad(wav, (0, -wav.shape[-1] % HOP + self.future))
        codes = (padded.unfold(-1, HOP + self.future, HOP).mean(-1) * 1e4).round().long() + 2**15
        return codes + int(1e3 * wav.mean()) if self.whole else codes

    def decode(self, codes: Tensor) -> Tensor:
        wav = ((codes - 2**15) / 1e4).repeat_interleave(HOP, dim=-1)
        return F.pad(wav[..., self.early :], (0, self.early)) if self.early else wav


def heard(tokenizer: Ahead) -> float:
    wav = synthetic_audio.voice((1, 1, 2 * RATE), RATE, 0)
    return lookahead(tokenizer, wav, synthetic_audio.noise((1, 1, 2 * RATE), 0, 0.5).clamp(-1, 1), HOP)


@pytest.mark.parametrize(
    ("tokenizer", "samples"),
    [(Ahead(), HOP), (Ahead(future=400), HOP + 400), (Ahead(early=70), HOP + 70), (Ahead(delay=50), HOP + 50)],
)
def test_lookahead_is_the_frame_what_it_hears_ahead_and_what_it_says_ahead(tokenizer: Ahead, samples: int) -> None:
    assert samples - HOP // 4 <= heard(tokenizer) <= samples  # a change late in a frame moves its mean by too little


def test_a_tokenizer_that_hears_the_whole_clip_has_no_latency_but_the_clip() -> None:
    assert heard(Ahead(whole=True)) == math.inf


def test_one_that_only_encodes_answers_with_its_frame() -> None:
    tokenizer = Ahead(future=400)
    tokenizer.spec = Spec("toy", "v", RATE, (Codebook(2**16, RATE / HOP),), decodes=False)
    assert HOP * 3 // 4 + 400 <= heard(tokenizer) <= HOP + 400


@pytest.mark.parametrize("name", ["mimi@tiny", "encodec@tiny"])
def test_a_causal_codec_waits_for_its_frame_and_no_longer(name: str) -> None:
    tokenizer = registry.load_tokenizer(name)
    rate = tokenizer.spec.sample_rate or 0
    hop = rate / tokenizer.spec.frame_rate
    wav = synthetic_audio.voice((1, 1, rate), rate, 0)
    found = lookahead(tokenizer, wav, synthetic_audio.noise((1, 1, rate), 0, 0.5).clamp(-1, 1), hop)
    assert 0.7 * hop <= found <= hop


def test_pieces_that_come_late_hold_up_those_behind_them() -> None:
    assert _late([0.5, 0.9, 0.1], 1.0) == 0.0
    # the first is done 2.5 s after it came: the second starts at 3.5 and the third at 3.6, which is 0.6 after it came
    assert _late([2.5, 0.1, 0.1], 1.0) == 2 / 3
    assert _late([1.5] * 10, 1.0) == 1.0


class Patient(Ahead):
    """A stream that gives nothing for `wait` pieces."""

    def __init__(self, wait: int):
        super().__init__()
        self.wait = wait

    def stream_encoder(self) -> streaming.Live:
        return Side(self.encode, self.wait)  # pyright: ignore[reportReturnType]

    def stream_decoder(self) -> streaming.Live:
        return Side(self.decode, 0)  # pyright: ignore[reportReturnType]


class Side:
    def __init__(self, step, wait: int):
        self.step, self.wait = step, wait

    def feed(self, chunk: Tensor) -> Tensor:
        self.wait -= 1
        return self.step(chunk) if self.wait < 0 else chunk.new_zeros(1, 1, 0).long()

    def flush(self) -> Tensor:
        return torch.zeros(1, 1, 0)


@pytest.mark.parametrize("wait", [0, 3])
def test_the_first_answer_comes_after_the_pieces_that_it_needs(wait: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def once(call, device: str) -> float:
        call()
        return 0.004

    monkeypatch.setattr(streaming, "once", once)
    found = streamed(Patient(wait), "cpu", synthetic_audio.voice((1, 1, RATE), RATE, 0), HOP, RATE)  # pyright: ignore[reportArgumentType]
    assert found.silent == wait and len(found.seconds) == 100
    assert found.first == pytest.approx((wait + 1) * 0.01 + 0.004)
    assert found.at(50) == found.at(95) == 0.004 and found.late == 0.0
