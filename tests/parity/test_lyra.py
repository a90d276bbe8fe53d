"""Lyra against LiteRT, the runtime of Google's own program, with the official weights on real speech (ai-edge-litert 2.3.0)."""

from pathlib import Path

import pytest
import torch

from bench import registry
from bench.data.audio import read_clip, resample, to_channels
from bench.data.manifests import open_data
from bench.tokenizers import lyra
from bench.weights.download import sha256_of

CLIPS = 12


@pytest.fixture
def official(real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The three official files, where a download would have put them."""
    folder = real_data / "lyra"
    if not folder.is_dir():
        pytest.skip(f"no weights of Lyra at {folder}")
    for file in (lyra.ENCODER, lyra.QUANTIZER, lyra.DECODER):
        (tmp_path / file.file).symlink_to(folder / file.file.removeprefix("lyra_"))
        assert sha256_of(tmp_path / file.file) == file.sha256
    monkeypatch.setenv("AUDIO_TOKENIZER_BENCH_CACHE", str(tmp_path))


def speech(folder: Path, count: int) -> list[torch.Tensor]:
    """Clips [1, 1, T] of real speech at 16 kHz, spread over the readers."""
    clips = [clip for clip in open_data(str(folder / "eval" / "manifest.jsonl")).clips if clip.domain == "speech"]
    found = []
    for clip in clips[:: len(clips) // count][:count]:
        audio = read_clip(clip)
        found.append(resample(to_channels(audio.wav, 1), audio.sample_rate, lyra.RATE)[None])
    return found


@pytest.mark.usefixtures("official", "one_thread")
def test_every_code_is_that_of_litert_and_so_is_the_audio(real_data: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    ours, theirs = registry.load_tokenizer("lyra@9.2kbps"), registry.load_tokenizer("lyra@9.2kbps-litert")
    equal, total = torch.zeros(46), 0
    for wav in speech(real_data, CLIPS):
        codes, official = ours.encode(wav), theirs.encode(wav)
        equal += (codes == official)[0].sum(-1)
        total += codes.shape[-1]
        assert (ours.decode(official) - theirs.decode(official)).abs().max() < 1e-4
    share = equal / total
    print(f"\nLyra: {100 * float(share.mean()):.3f} % of {46 * total} codes equal, the least codebook {100 * float(share.min()):.2f} %")
    assert share.mean() >= 0.99 and share.min() >= 0.98  # a float sum next to the middle between two integers moves some frames


@pytest.mark.usefixtures("official", "one_thread")
@pytest.mark.parametrize("variant", lyra.LEVELS)
def test_fewer_codebooks_are_the_first_of_all(real_data: Path, variant: str) -> None:
    (wav,) = speech(real_data, 1)
    every = registry.load_tokenizer("lyra@9.2kbps").encode(wav)
    assert torch.equal(registry.load_tokenizer(f"lyra@{variant}").encode(wav), every[:, : lyra.LEVELS[variant]])


@pytest.mark.usefixtures("official", "one_thread")
def test_a_stream_gives_the_codes_and_the_audio_of_the_whole_clip(real_data: Path) -> None:
    (wav,) = speech(real_data, 1)
    codec = registry.load_tokenizer("lyra@6kbps")
    assert isinstance(codec, lyra.Lyra)
    stream = codec.stream_encoder()
    pieces = [stream.feed(piece) for piece in wav.split(1234, dim=-1)] + [stream.flush()]
    codes = torch.cat(pieces, dim=-1)
    assert torch.equal(codes, codec.encode(wav))
    heard = codec.stream_decoder()
    audio = torch.cat([heard.feed(piece) for piece in codes.split(3, dim=-1)] + [heard.flush()], dim=-1)
    assert torch.allclose(audio, codec.decode(codes), atol=1e-6)


@pytest.mark.usefixtures("official", "one_thread")
def test_three_clips_at_once_are_three_clips(real_data: Path) -> None:
    codec = registry.load_tokenizer("lyra@6kbps")
    wav = torch.cat([clip[..., :16_000] for clip in speech(real_data, 3)])
    codes = codec.encode(wav)
    assert torch.equal(codes, torch.cat([codec.encode(clip) for clip in wav.split(1)]))
    assert torch.allclose(codec.decode(codes), torch.cat([codec.decode(clip) for clip in codes.split(1)]), atol=1e-6)


def test_files_that_are_not_lyras_are_refused_in_one_line(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.tflite"
    wrong.write_bytes(b"\x1c\0\0\0TFL3" + bytes(64))
    with pytest.raises(lyra.UserError, match="wrong.tflite"):
        lyra.load(lyra.VARIANTS["6kbps"].spec, wrong, wrong, wrong)
