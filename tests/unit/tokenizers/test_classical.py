"""Opus, AAC, MP3, AMR and Codec2 through their libraries: true bitrates, true delays, and no memory of the clip before."""

import importlib
import itertools
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench import registry
from bench.api import Packs, UserError
from bench.classical.packets import Packets
from bench.data import audio, synthetic_audio
from bench.metrics.delay import delay_ms
from bench.tokenizers import codec2, opus

EVAL = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "eval"
OPUS = [f"opus@{name}" for name in opus.CODERS]
OTHERS = [name for name in registry.names() if name.partition("@")[0] in ("aac", "amr", "mp3")]
CODEC2 = {name: f"codec2@{name}" for name in codec2.MODES}


@pytest.fixture(scope="module")
def speech() -> Tensor:
    """Six seconds of a real voice, wav [1, 1, T] at 48 kHz."""
    if not EVAL.exists():
        pytest.skip("real speech is not on this machine (../shared/data/eval)")
    clips = map(json.loads, (EVAL / "manifest.jsonl").read_text().splitlines())
    path = next(c["path"] for c in clips if c["domain"] == "speech" and c["duration"] > 6 and c["bandwidth_hz"] > 7000)
    heard = audio.decode_file((EVAL / path).read_bytes(), path)
    return audio.resample(heard.wav[:1, : 6 * heard.sample_rate], heard.sample_rate, 48_000)[None]


def needs(package: str) -> None:
    """Skips the test where an optional package is absent."""
    pytest.importorskip(package, reason=f"{package} is not installed")


def stoi(ref: Tensor, est: Tensor, rate: int) -> float:
    """pystoi at 16 kHz of [1, 1, T], est trimmed."""
    from pystoi import stoi as judge

    clean, coded = (audio.resample(wav[0, 0, : ref.shape[-1]], rate, 16_000).numpy() for wav in (ref, est))
    return float(judge(clean, coded, 16_000))


def test_opus_bytes_rise_with_the_request() -> None:
    needs("av")
    wav = synthetic_audio.voice((1, 1, 10 * 48_000), 48_000, seed=0)
    kbps = {}
    for name in OPUS:
        tokenizer = registry.load_tokenizer(name)
        assert isinstance(tokenizer, Packs)
        codes = tokenizer.encode(wav)
        kbps[name] = tokenizer.packed_bits(codes) / 10_000
        used = torch.arange(1, codes.shape[1])[:, None] <= codes[:, :1]
        assert int((codes[:, 1:] * ~used).sum()) == 0  # nothing hides behind a packet's end
        assert 8 * int(used.sum()) == tokenizer.packed_bits(codes)
    assert 3 < kbps["opus@6kbps"] and kbps["opus@24kbps"] < 36
    assert sorted(OPUS, key=kbps.__getitem__) == OPUS


def test_opus_gets_better_with_bitrate(speech: Tensor) -> None:
    needs("av")
    scores, rates = [], []
    for name in OPUS:
        tokenizer = registry.load_tokenizer(name)
        assert isinstance(tokenizer, Packets)
        codes = tokenizer.encode(speech)
        rates.append(tokenizer.packed_bits(codes) / 6 / tokenizer.coder.bit_rate)
        scores.append(stoi(speech, tokenizer.decode(codes), 48_000))
    assert 0.85 < scores[0] and scores[-1] < 0.999
    assert all(more > less - 0.01 for less, more in itertools.pairwise(scores))  # from 9 kbit/s on the same bits code a wider band
    assert scores[-1] > scores[3] > scores[0]
    assert all(abs(rate - 1) < 0.3 for rate in rates)


@pytest.mark.parametrize("name", OPUS)
def test_opus_pre_skip_is_removed_and_the_tail_is_there(name: str) -> None:
    needs("av")
    tokenizer = registry.load_tokenizer(name)
    wav = synthetic_audio.voice((1, 1, 2 * 48_000 + 17), 48_000, seed=2)
    back = tokenizer.decode(tokenizer.encode(wav))
    assert back.shape[-1] >= wav.shape[-1]
    assert abs(delay_ms(wav[0, 0], back[0, 0, : wav.shape[-1]], 48_000).value) < 1.0


def test_opus_says_in_its_header_what_stands_here_as_constants() -> None:
    needs("av")
    context = opus.CODERS["12kbps"].context("w")
    context.open()
    header = bytes(context.extradata or b"")
    assert header[:8] == b"OpusHead" and header[9] == 1
    assert int.from_bytes(header[10:12], "little") == opus.PRE_SKIP
    assert int.from_bytes(header[12:16], "little") == opus.SAMPLE_RATE


@pytest.mark.parametrize("name", OTHERS)
def test_others_spend_what_they_are_asked_for_and_lag_by_nothing(name: str, speech: Tensor) -> None:
    """All bytes of packets count but the constant ones of AMR, whose frames then fill whole bytes; AAC may fall short of the request."""
    needs("av")
    tokenizer = registry.load_tokenizer(name)
    assert isinstance(tokenizer, Packets)
    wav = audio.resample(speech[0], 48_000, tokenizer.coder.sample_rate)[None]
    codes = tokenizer.encode(wav)
    back = tokenizer.decode(codes)[..., : wav.shape[-1]]
    assert back.shape == wav.shape
    assert tokenizer.packed_bits(codes) / 6 == pytest.approx(tokenizer.coder.bit_rate, rel=0.15 if "aac" in name else 0.04)
    assert abs(delay_ms(wav[0, 0], back[0, 0], tokenizer.coder.sample_rate).value) < 1.0
    assert stoi(wav, back, tokenizer.coder.sample_rate) > 0.85


@pytest.mark.parametrize("family", ["aac", "amr", "mp3"])
def test_others_get_better_with_bitrate(family: str, speech: Tensor) -> None:
    needs("av")
    scores = []
    for name in (name for name in OTHERS if name.startswith(family)):
        tokenizer = registry.load_tokenizer(name)
        wav = audio.resample(speech[0], 48_000, tokenizer.spec.sample_rate or 0)[None]
        back = tokenizer.decode(tokenizer.encode(wav))[..., : wav.shape[-1]]
        scores.append(stoi(wav, back, tokenizer.spec.sample_rate or 0))
    assert len(scores) == 3 and sorted(scores) == scores


def test_a_packet_that_codes_cannot_hold_is_an_error() -> None:
    needs("av")
    small = replace(opus.CODERS["24kbps"], room=20)
    tokenizer = Packets(opus.VARIANTS["24kbps"].spec, small)
    with pytest.raises(ValueError, match="codes of opus@24kbps have room for 20"):
        tokenizer.encode(synthetic_audio.voice((1, 1, 48_000), 48_000, seed=0))


def test_a_pyav_without_the_coder_says_so() -> None:
    needs("av")
    with pytest.raises(UserError, match="this PyAV is built without no_such_coder"):
        Packets(opus.VARIANTS["24kbps"].spec, replace(opus.CODERS["24kbps"], encoder="no_such_coder"))


def test_opus_refuses_codes_of_another_shape() -> None:
    needs("av")
    with pytest.raises(ValueError, match=r"codes must be \[B, 271, F\]"):
        registry.load_tokenizer("opus@6kbps").decode(torch.zeros(1, 8, 5, dtype=torch.int64))


def test_without_pyav_opus_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av.audio.codeccontext", None)
    with pytest.raises(UserError, match=r"pip install 'audio-tokenizer-bench\[opus\]'"):
        registry.load_tokenizer("opus@6kbps")


def test_codec2_bitrates_are_exact() -> None:
    stated = {name: registry.variant(label).spec.bitrate for name, label in CODEC2.items()}
    assert stated == {"3200bps": 3200, "2400bps": 2400, "1600bps": 1600, "1300bps": 1300, "1200bps": 1200, "700c": 700}


def _through_pycodec2(name: str, pcm: Tensor) -> bytes:
    """The bytes that pycodec2's own coder makes of pcm [T] int16."""
    coder = importlib.import_module("pycodec2").Codec2(700 if name == "700c" else int(name.removesuffix("bps")))
    assert (coder.samples_per_frame(), coder.bits_per_frame()) == (codec2.MODES[name].hop, sum(codec2.MODES[name].fields))
    return b"".join(coder.encode(frame.numpy()) for frame in pcm.reshape(-1, coder.samples_per_frame()))


@pytest.mark.parametrize("name", CODEC2)
def test_codec2_fields_are_the_bytes_of_pycodec2(name: str) -> None:
    needs("pycodec2")
    pcm = (synthetic_audio.voice((1, 1, 16_000), 8_000, seed=3) * 32767).round().to(torch.int16)
    codes = registry.load_tokenizer(CODEC2[name]).encode(pcm.float() / 32767)[0]
    whole = 8 * math.ceil(sum(codec2.MODES[name].fields) / 8)
    widths = codec2.MODES[name].fields
    bits = ["".join(f"{int(c):0{n}b}" for c, n in zip(column, widths, strict=True)).ljust(whole, "0") for column in codes.T]
    ours = b"".join(int(b, 2).to_bytes(whole // 8, "big") for b in bits)
    assert ours == _through_pycodec2(name, pcm.flatten())


def test_codec2_decodes_as_pycodec2_does_in_a_fresh_process(tmp_path: Path) -> None:
    needs("pycodec2")
    pcm = (synthetic_audio.voice((1, 1, 16_000), 8_000, seed=3) * 32767).round().to(torch.int16)
    (tmp_path / "bytes").write_bytes(_through_pycodec2("1300bps", pcm.flatten()))
    program = (
        "import pathlib, pycodec2; coder = pycodec2.Codec2(1300); data = pathlib.Path('bytes').read_bytes();"
        "pathlib.Path('pcm').write_bytes(b''.join(coder.decode(data[i:i + 7]).tobytes() for i in range(0, len(data), 7)))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=os.environ, check=True)
    tokenizer = registry.load_tokenizer("codec2@1300bps")
    ours = tokenizer.decode(tokenizer.encode(pcm.float() / 32767)) * 32767
    theirs = torch.frombuffer(bytearray((tmp_path / "pcm").read_bytes()), dtype=torch.int16)
    assert torch.equal(ours.round().to(torch.int16).flatten(), theirs)


def test_codec2_decodes_the_same_twice_even_where_pycodec2_is_in_use() -> None:
    needs("pycodec2")
    held = importlib.import_module("pycodec2").Codec2(1200)  # keeps its library, and the library's generator, loaded
    tokenizer = registry.load_tokenizer("codec2@1200bps")
    codes = tokenizer.encode(synthetic_audio.voice((1, 1, 16_000), 8_000, seed=5))
    first = tokenizer.decode(codes)
    held.decode(bytes(held.bytes_per_frame()))
    assert torch.equal(tokenizer.decode(codes), first)


@pytest.mark.parametrize("name", ["3200bps", "1200bps", "700c"])
def test_codec2_lags_as_its_spec_says(name: str, speech: Tensor) -> None:
    needs("pycodec2")
    tokenizer = registry.load_tokenizer(CODEC2[name])
    wav = audio.resample(speech, 48_000, 8_000)
    back = tokenizer.decode(tokenizer.encode(wav))[..., : wav.shape[-1]]
    assert abs(delay_ms(wav[0, 0], back[0, 0], 8_000).value - tokenizer.spec.delay / 8) < 5
    lag = tokenizer.spec.delay
    assert stoi(wav[..., :-lag], back[..., lag:], 8_000) > stoi(wav, back, 8_000) > 0.3


def test_codec2_fields_each_carry_something() -> None:
    """A field read from the wrong place would be constant, or wild where the sound is steady."""
    needs("pycodec2")
    codes = registry.load_tokenizer("codec2@1300bps").encode(synthetic_audio.voice((1, 1, 160_000), 8_000, seed=4))[0]
    assert all(len(row.unique()) > 1 for row in codes)
    buzz = torch.stack([torch.cos(k * 0.0785 * torch.arange(16_000)) for k in range(1, 36)]).mean(0)  # 100 Hz and its harmonics
    steady = registry.load_tokenizer("codec2@3200bps").encode(buzz[None, None])[0, :4, 20:-5].float()
    assert steady[:2].mean() == 1  # voiced throughout
    assert float(steady[2:].std(dim=1).max()) < 1  # pitch and energy stand still


def test_without_pycodec2_codec2_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> list[object]:
        raise codec2.importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(codec2.importlib.metadata, "files", absent)
    with pytest.raises(UserError, match=r"pip install 'audio-tokenizer-bench\[codec2\]'"):
        registry.load_tokenizer("codec2@700c")
