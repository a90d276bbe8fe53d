"""The contests of EnCodec, DAC, Mimi and WavTokenizer. Oracles and lively weights are those of the parity tests."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.api import Stream
from bench.nn.dac_names import port_names
from bench.nn.quantize import Codebook
from bench.tokenizers import wavtokenizer
from tests.parity import test_dac, test_encodec, test_mimi
from tests.parity.ties import residual_levels
from tests.parity.wavtokenizer_recipe import sound, stored, weights
from tests.parity.write_wavtokenizer import BANDWIDTH, fill, official_model
from tests.perf.contest import Call, Contest, Contests, same_audio, same_codes

STEREO = {
    "target_bandwidths": [3.0, 6.0, 12.0, 24.0],
    "sampling_rate": 48_000,
    "audio_channels": 2,
    "use_causal_conv": False,
    "norm_type": "time_group_norm",
    "normalize": True,
    "chunk_length_s": 1.0,
    "overlap": 0.01,
}


def fed(stream: Stream, parts: tuple[Tensor, ...]) -> Tensor:
    """The output of a stream for these pieces."""
    return torch.cat([*map(stream.feed, parts), stream.flush()], -1)


def encodec_port(official: Any, **differs: object) -> Any:
    """transformers' EnCodec with the weights of the authors' model."""
    transformers = pytest.importorskip("transformers")
    port = transformers.EncodecModel(transformers.EncodecConfig(**differs)).eval()
    names, state = (
        (
            (r"^((?:en|de)coder)\.model\.", r"\1.layers."),
            (r"\.(?:conv|convtr)\.(?:conv|convtr)\.", ".conv."),
            (r"\.(?:conv|convtr)\.norm\.", ".norm."),
            (r"\.weight_g$", ".parametrizations.weight.original0"),
            (r"\.weight_v$", ".parametrizations.weight.original1"),
            (r"^quantizer\.vq\.layers\.(\d+)\._codebook\.", r"quantizer.layers.\1.codebook."),
        ),
        {},
    )
    for name, value in official.state_dict().items():
        for pattern, theirs in names:
            name = re.sub(pattern, theirs, name)
        state[name] = value
    port.load_state_dict(state, strict=True)
    return port


def encodec(batch: int, seconds: float, device: str) -> Iterator[Contest]:
    """24 kHz. The authors' package cannot stream: frame by frame, the rival is its encoding of the whole clip."""
    official = test_encodec.alive("24khz", 0)
    mine: Any = test_encodec.ours(official, "6kbps").to(device)
    port = encodec_port(official).to(device)
    official.to(device).set_target_bandwidth(6.0)
    wav = test_encodec.noise((batch, 1, round(75 * seconds) * 320), 1).to(device)
    frames = official.encode(wav)
    codes, latents = frames[0][0], official.encoder(wav)
    scales = port.encode(wav[..., :320], bandwidth=6.0).audio_scales

    def equal(found: Tensor) -> str:
        return same_codes(found, codes, residual_levels(latents, test_encodec.books(mine), codes))

    theirs: dict[str, Call] = {"official": lambda: official.encode(wav), "transformers": lambda: port.encode(wav, bandwidth=6.0)}
    yield Contest("encodec@24khz-6kbps encode", {"ours": lambda: mine.encode(wav)} | theirs, lambda: equal(mine.encode(wav)), 1.57)
    pieces = wav.split(320, -1)
    calls = {"ours": lambda: fed(mine.stream_encoder(), pieces), "official, whole": theirs["official"]}
    yield Contest("encodec@24khz-6kbps encode by frames", calls, lambda: equal(fed(mine.stream_encoder(), pieces)), 1.57)

    theirs = {"official": lambda: official.decode(frames), "transformers": lambda: port.decode(codes[None], scales)}
    calls = {"ours": lambda: mine.decode(codes)} | theirs
    yield Contest("encodec@24khz-6kbps decode", calls, lambda: same_audio(mine.decode(codes), official.decode(frames)), 1.49)
    parts = codes.split(1, -1)
    calls = {"ours": lambda: fed(mine.stream_decoder(), parts), "official, whole": theirs["official"]}
    equal_audio = lambda: same_audio(fed(mine.stream_decoder(), parts), official.decode(frames))  # noqa: E731
    yield Contest("encodec@24khz-6kbps decode by frames", calls, equal_audio, 1.49)


def encodec_stereo(batch: int, seconds: float, device: str) -> Iterator[Contest]:
    official = test_encodec.alive("48khz", 0)
    mine, port = test_encodec.ours(official, "6kbps").to(device), encodec_port(official, **STEREO).to(device)
    official.to(device).set_target_bandwidth(6.0)
    chunks = mine.config.chunks
    # whole chunks: transformers' port refuses others
    wav = test_encodec.noise((batch, 2, chunks.stride * max(0, round(seconds / 0.99) - 1) + chunks.length), 1).to(device)
    (codes, side), frames, theirs = mine.encode(wav), official.encode(wav), port.encode(wav, bandwidth=6.0)
    calls: dict[str, Call] = {
        "ours": lambda: mine.encode(wav),
        "official": lambda: official.encode(wav),
        "transformers": lambda: port.encode(wav, bandwidth=6.0),
    }

    def equal() -> str:
        inputs = [wav[..., i * chunks.stride :][..., : chunks.length] / scale[..., None] for i, (_, scale) in enumerate(frames)]
        expected = torch.cat([part for part, _ in frames], -1)
        latents = torch.cat([official.encoder(chunk) for chunk in inputs], -1)
        return same_codes(codes, expected, residual_levels(latents, test_encodec.books(mine), expected))

    yield Contest("encodec@48khz-6kbps encode", calls, equal, 3.10)
    calls = {
        "ours": lambda: mine.decode(codes, side),
        "official": lambda: official.decode(frames),
        "transformers": lambda: port.decode(theirs.audio_codes, theirs.audio_scales, last_frame_pad_length=theirs.last_frame_pad_length),
    }
    yield Contest("encodec@48khz-6kbps decode", calls, lambda: same_audio(mine.decode(codes, side), official.decode(frames)), 3.02)


def dac_port(model: Any) -> Any:
    """transformers' DAC with the weights of ours."""
    transformers = pytest.importorskip("transformers")
    config = model.config
    port = transformers.DacModel(
        transformers.DacConfig(downsampling_ratios=config.waveform.rates, n_codebooks=config.levels, sampling_rate=config.sample_rate)
    ).eval()
    back, state = {mine: theirs for theirs, mine in port_names(4).items()}, {}
    for name, value in model.state_dict().items():
        module, _, leaf = name.replace("quantizer.layers.", "quantizer.quantizers.").rpartition(".")
        state[f"{back.get(module, module)}.{leaf}"] = value[None, :, None] if leaf == "alpha" else value
    port.load_state_dict(state, strict=True)
    return port


def dac(name: str, encode: float, decode: float) -> Contests:
    """The contests of a DAC with so many gmacs of encode and of decode."""

    def contests(batch: int, seconds: float, device: str) -> Iterator[Contest]:
        official = test_dac.alive(name, 0)
        mine = test_dac.ours(name, official).to(device)
        port, official = dac_port(mine).to(device), official.to(device)
        hop, rate = mine.config.hop, mine.config.sample_rate
        wav = test_dac.noise((batch, 1, int(seconds * rate) // hop * hop), 1, rate).to(device)
        codes = official.encode(wav)[1]
        calls: dict[str, Call] = {
            "ours": lambda: mine.encode(wav),
            "official": lambda: official.encode(wav),
            "transformers": lambda: port.encode(wav),
        }

        def equal() -> str:
            return same_codes(mine.encode(wav), codes, test_dac.levels_of(official, official.encoder(wav), codes))

        yield Contest(f"dac@{name} encode", calls, equal, encode)

        def decoded() -> Tensor:
            return official.decode(official.quantizer.from_codes(codes)[0])

        calls = {"ours": lambda: mine.decode(codes), "official": decoded, "transformers": lambda: port.decode(audio_codes=codes)}
        yield Contest(f"dac@{name} decode", calls, lambda: same_audio(mine.decode(codes), decoded()), decode)

    return contests


def mimi(batch: int, seconds: float, device: str) -> Iterator[Contest]:
    """Whole clips, and 80 ms at a time as in a live conversation."""
    official = test_mimi.alive(0)
    mine, whole = test_mimi.ours(official, levels=8).to(device), test_mimi.ours(official)
    transformers = pytest.importorskip("transformers")
    port = transformers.MimiModel(transformers.MimiConfig()).eval()
    port.load_state_dict(test_mimi.to_transformers(whole.state_dict(), port), strict=True)
    port.to(device)
    official.to(device).set_num_codebooks(8)
    wav = test_mimi.noise((batch, 1, max(1, int(seconds * 12.5)) * test_mimi.HOP), 1).to(device)
    codes, latents = official.encode(wav), official.encode_to_latent(wav, quantize=False)

    def equal(found: Tensor) -> str:
        parts = zip(("first", "rest"), test_mimi.parts(mine, found, codes, latents), strict=True)
        return "; ".join(f"{name}: {same_codes(*part)}" for name, part in parts)

    def theirs(step, parts: tuple[Tensor, ...]) -> Tensor:
        with official.streaming(batch):
            return torch.cat([step(part) for part in parts], -1)

    calls: dict[str, Call] = {
        "ours": lambda: mine.encode(wav),
        "official": lambda: official.encode(wav),
        "transformers": lambda: port.encode(wav, num_quantizers=8),
    }
    yield Contest("mimi@24khz encode", calls, lambda: equal(mine.encode(wav)), 2.77)
    pieces = wav.split(test_mimi.HOP, -1)
    calls = {"ours": lambda: fed(mine.stream_encoder(), pieces), "official": lambda: theirs(official.encode, pieces)}
    yield Contest("mimi@24khz encode by frames", calls, lambda: equal(fed(mine.stream_encoder(), pieces)), 2.77)
    calls = {
        "ours": lambda: mine.decode(codes),
        "official": lambda: official.decode(codes),
        "transformers": lambda: port.decode(codes),
    }
    yield Contest("mimi@24khz decode", calls, lambda: same_audio(mine.decode(codes), official.decode(codes)), 2.75)
    frames = codes.split(1, -1)
    calls = {"ours": lambda: fed(mine.stream_decoder(), frames), "official": lambda: theirs(official.decode, frames)}
    same = lambda: same_audio(fed(mine.stream_decoder(), frames), theirs(official.decode, frames))  # noqa: E731
    yield Contest("mimi@24khz decode by frames", calls, same, 2.75)

    def both(encode, decode) -> Tensor:
        """A conversation: each frame is encoded and decoded before the next one is there."""
        return torch.cat([decode(encode(piece)) for piece in pieces], -1)

    def mine_both() -> Tensor:
        return both(mine.stream_encoder().feed, mine.stream_decoder().feed)

    def theirs_both() -> Tensor:
        with official.streaming(batch):
            return both(official.encode, official.decode)

    calls = {"ours": mine_both, "official": theirs_both}
    yield Contest("mimi@24khz both ways by frames", calls, lambda: same_audio(mine_both(), fed(mine.stream_decoder(), frames)), 5.52)


def wavtokenizer_at(rate: str, encode: float, decode: float) -> Contests:
    """The contests of a WavTokenizer with so many gmacs of encode and of decode.

    The authors' code cannot be installed: without the path of a checkout they are skipped.
    """

    def contests(batch: int, seconds: float, device: str) -> Iterator[Contest]:
        checkout = os.environ.get("WAVTOKENIZER_CHECKOUT")
        if not checkout:
            pytest.skip("name a checkout of the authors' code in WAVTOKENIZER_CHECKOUT")
        facts = stored()[rate]
        run = facts["runs"][0]
        state = weights(facts["shapes"], run["seed"], run["middle"], run["spread"])
        official = official_model(Path(checkout).resolve(), rate)
        fill(official, state)
        mine = wavtokenizer.WavTokenizer(wavtokenizer.CONFIGS[f"{rate}tps"], wavtokenizer.VARIANTS[f"small-{rate}tps"].spec).eval()
        mine.load_state_dict(wavtokenizer.renamed(state), strict=True)
        official, mine, bandwidth = official.to(device), mine.to(device), BANDWIDTH.to(device)
        wav = sound(batch, int(seconds * 24_000), 0).to(device)
        codes = official.encode_infer(wav[:, 0], bandwidth_id=bandwidth)[1].transpose(0, 1)
        book: Codebook = mine.quantizer.codebooks()[0]
        calls: dict[str, Call] = {
            "ours": lambda: mine.encode(wav),
            "official": lambda: official.encode_infer(wav[:, 0], bandwidth_id=bandwidth),
        }

        def equal() -> str:
            return same_codes(mine.encode(wav), codes, residual_levels(mine.latents(wav), [book.vectors()[0]], codes))

        yield Contest(f"wavtokenizer@small-{rate}tps encode", calls, equal, encode)

        def decoded() -> Tensor:
            return official.decode(official.codes_to_features(codes.transpose(0, 1)), bandwidth_id=bandwidth)[:, None]

        calls = {"ours": lambda: mine.decode(codes), "official": decoded}
        yield Contest(f"wavtokenizer@small-{rate}tps decode", calls, lambda: same_audio(mine.decode(codes), decoded()), decode)

    return contests
