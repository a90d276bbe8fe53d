"""The codec stage: batches equal single clips, memory stays flat, and what fails costs its own clip."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from torch import Tensor

from bench import registry
from bench.api import Code, Codebook, Coded, Codes, Given, Reconstruction, Spec, UserError
from bench.data.manifests import open_data, partners
from bench.engine.codec_stage import reconstructions, trials
from bench.tokens.codes import check_codes, packed_bits
from tests.conftest import speech_like


class Toy:
    """16 samples a code, 8 bits: a sign and a level. `largest`: items that fit into its memory."""

    def __init__(self, spec: Spec, largest: int = 99):
        self.spec, self.largest, self.batches = spec, largest, []

    def encode(self, wav: Tensor) -> Tensor:
        self.batches.append(len(wav))
        if len(wav) > self.largest:
            raise torch.OutOfMemoryError("no memory left")
        wav = torch.nn.functional.pad(wav, (0, -wav.shape[-1] % 16))
        return (wav.unflatten(-1, (-1, 16)).mean(-1) * 127 + 128).round().long().clamp(0, 255)

    def decode(self, codes: Tensor) -> Tensor:
        return ((codes - 128) / 127).repeat_interleave(16, dim=-1)


def spec(**changes: Any) -> Spec:
    return Spec(**{"name": "toy", "variant": "v", "sample_rate": 16_000, "codebooks": (Codebook(256, 1000.0),), "causal": True} | changes)


def run(manifest: Path, tokenizer: Any, facts: Spec, **options: Any) -> dict[str, Reconstruction]:
    found = reconstructions(facts, lambda: tokenizer, open_data(str(manifest)).clips, **options)
    return {item.clip.id: item for item in found}


@pytest.mark.parametrize("causal", [True, False])
def test_a_batch_gives_what_single_clips_give(make_data: Callable[..., Path], causal: bool) -> None:
    manifest, facts = make_data(5), spec(causal=causal)
    alone = run(manifest, Toy(facts), facts, batch_seconds=0)
    toy = Toy(facts)
    together = run(manifest, toy, facts, batch_seconds=60)
    assert max(toy.batches) == (5 if causal else 1)  # right padding is for causal tokenizers alone
    for key, one in alone.items():
        assert torch.equal(one.codes, together[key].codes) and torch.equal(one.est.wav, together[key].est.wav)
        assert (one.tokens, one.packed_bits) == (together[key].tokens, together[key].packed_bits)


def test_clips_of_equal_length_share_a_batch_even_if_not_causal(tmp_path: Path) -> None:
    for i in range(4):
        soundfile.write(tmp_path / f"{i}.wav", speech_like(0.5, 16_000, i).numpy(), 16_000)
    facts = spec(causal=False)
    toy = Toy(facts)
    run(tmp_path, toy, facts, batch_seconds=60)
    assert toy.batches == [4]


def test_mimi_in_batches_equals_mimi_alone(make_data: Callable[..., Path]) -> None:
    manifest = make_data(4, rate=24_000)
    tokenizer = registry.load_tokenizer("mimi@tiny")
    alone = run(manifest, tokenizer, tokenizer.spec, batch_seconds=0)
    together = run(manifest, tokenizer, tokenizer.spec, batch_seconds=60)
    for key, one in alone.items():
        assert torch.equal(one.codes, together[key].codes)
        assert (one.est.wav - together[key].est.wav).abs().max() < 1e-5


def test_out_of_memory_halves_the_batch(make_data: Callable[..., Path]) -> None:
    facts = spec()
    toy = Toy(facts, largest=2)
    found = run(make_data(5), toy, facts, batch_seconds=60)
    assert not any(item.failure for item in found.values())
    assert toy.batches[0] == 5 and max(toy.batches[-2:]) <= 2


def test_a_clip_too_large_for_the_memory_is_told(make_data: Callable[..., Path]) -> None:
    facts = spec()
    found = run(make_data(2), Toy(facts, largest=0), facts)
    assert all("out of memory on cpu" in item.failure for item in found.values())


def test_lengths_are_restored_and_a_lost_tail_is_counted(make_data: Callable[..., Path]) -> None:
    class Short(Toy):
        def decode(self, codes: Tensor) -> Tensor:
            return super().decode(codes)[..., :-100]

    facts = spec()
    for item in run(make_data(2), Short(facts), facts).values():
        length = item.ref.wav.shape[-1]
        assert item.est.wav.shape == (1, length)
        assert item.tail_loss == 100 - (-length % 16)
        assert not item.est.wav[:, -item.tail_loss :].any()
    batch = run(make_data(2, name="again"), Short(facts), facts, batch_seconds=60)
    assert batch["clip0"].tail_loss == 0  # its end lies before that of the batch
    assert batch["clip1"].tail_loss == 100 - (-batch["clip1"].length % 16)


@pytest.mark.parametrize("batch_seconds", [0, 60])
def test_without_decode_all_but_the_audio_is_as_it_was(make_data: Callable[..., Path], batch_seconds: float) -> None:
    class Mute(Toy):
        def decode(self, codes: Tensor) -> Tensor:
            raise AssertionError("decoded")

    manifest, silent = make_data(3), spec(decodes=False)
    full = run(manifest, Toy(spec()), spec())
    encoded = run(manifest, Mute(spec()), spec(), decode=False, batch_seconds=batch_seconds)
    units = run(manifest, Mute(silent), silent, batch_seconds=batch_seconds)
    for key, one in full.items():
        assert one.seconds == pytest.approx(1.5 + 0.1 * int(key[-1]))
        for item in (encoded[key], units[key]):
            assert not item.failure and torch.equal(item.codes, one.codes) and torch.equal(item.ref.wav, one.ref.wav)
            assert (item.seconds, item.tokens, item.packed_bits, item.tail_loss) == (one.seconds, one.tokens, one.packed_bits, 0)
            assert item.est.wav.shape == (1, 0) and item.est.sample_rate == one.est.sample_rate


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (torch.zeros(1, 2, 5, dtype=torch.int64), r"codes must be \[1, 1, F\] int64"),
        (torch.zeros(1, 1, 5, dtype=torch.int32), r"codes must be \[1, 1, F\] int64"),
        (torch.full((1, 1, 5), 256), r"outside of their codebooks \[256\]"),
        (torch.full((1, 1, 5), -1), r"outside of their codebooks"),
    ],
)
def test_codes_outside_the_contract_are_refused(codes: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_codes(Codes(codes), spec(), 1)


def test_a_tokenizer_that_raises_costs_its_clip(make_data: Callable[..., Path]) -> None:
    class Picky(Toy):
        def encode(self, wav: Tensor) -> Tensor:
            if wav.shape[-1] > 25_000:
                raise RuntimeError("too\nlong")
            return super().encode(wav)

    facts = spec()
    found = run(make_data(3), Picky(facts), facts)
    assert [found[f"clip{i}"].failure for i in range(3)] == [
        "",
        "tokenizer failed: RuntimeError: too long",
        "tokenizer failed: RuntimeError: too long",
    ]


def test_audio_that_is_nan_after_decoding_is_a_failure(make_data: Callable[..., Path]) -> None:
    class Broken(Toy):
        def decode(self, codes: Tensor) -> Tensor:
            return super().decode(codes) * math.nan

    assert run(make_data(2), Broken(spec()), spec())["clip0"].failure == "tokenizer failed: decode gave NaN or infinite samples"


def test_a_user_error_while_loading_stops_the_run(make_data: Callable[..., Path]) -> None:
    def load() -> Toy:
        raise UserError("weights are missing")

    with pytest.raises(UserError, match="weights are missing"):
        list(reconstructions(spec(), load, open_data(str(make_data(2))).clips))


def test_a_trial_asks_the_tokenizer_of_its_thread_and_its_faults_are_told(make_data: Callable[..., Path]) -> None:
    class Picky(Toy):
        def encode(self, wav: Tensor) -> Tensor:
            if wav.shape[-1] > 3000:
                raise RuntimeError("too\nlong")
            return super().encode(wav)

        def decode(self, codes: Tensor) -> Tensor:
            return super().decode(codes)[..., :-50]

    def trial(code: Code, given: Given) -> tuple[Coded, Coded, Coded]:
        wav = given.wav[None, :, :2000]
        return code(wav, True), code(torch.cat([wav, wav / 2]), False), code(given.wav[None], True)

    manifest, facts = make_data(3), spec()
    (manifest.parent / "1.flac").write_bytes(b"nonsense")
    manifest.write_text("".join(json.dumps(json.loads(line) | {"sha256": ""}) + "\n" for line in manifest.read_text().splitlines()))
    found = {item.clip.id: item for item in trials(facts, lambda: Picky(facts), open_data(str(manifest)).clips, trial)}
    assert sorted(found) == ["clip0", "clip1", "clip2"]
    assert found["clip1"].result is None and "cannot be read" in found["clip1"].failure
    item = found["clip0"]
    assert item.result is not None and item.seconds == 1.5
    heard, batch, failed = item.result
    assert heard.codes.shape == (1, 1, 125) and heard.est.shape == (1, 1, 2000) and heard.tail_loss == 50
    assert not heard.est[..., -50:].any() and heard.est[..., :-50].any()
    assert batch.codes.shape == (2, 1, 125) and torch.equal(batch.codes[0], heard.codes[0]) and batch.est.shape == (2, 1, 0)
    assert failed.failure == "tokenizer failed: RuntimeError: too long" and not failed.codes.numel()


def test_a_trials_own_mistake_ends_the_run(make_data: Callable[..., Path]) -> None:
    def trial(code: Code, given: Given) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(trials(spec(), lambda: Toy(spec()), open_data(str(make_data(2))).clips, trial))


def test_without_clips_no_tokenizer_is_loaded() -> None:
    assert not list(reconstructions(spec(), lambda: pytest.fail("loaded"), ()))


def test_few_clips_are_in_memory_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import bench.engine.codec_stage

    for i in range(40):
        soundfile.write(tmp_path / f"{i:02}.wav", speech_like(0.1, 16_000, i).numpy(), 16_000)
    read = 0
    real = bench.engine.codec_stage.read_clip

    def counting(*given):
        nonlocal read
        read += 1
        return real(*given)

    monkeypatch.setattr(bench.engine.codec_stage, "read_clip", counting)
    facts = spec()
    for done, _ in enumerate(reconstructions(facts, lambda: Toy(facts), open_data(str(tmp_path)).clips), 1):
        assert read <= done + 10


def test_the_shuffled_floor_encodes_another_clip(make_data: Callable[..., Path]) -> None:
    clips = open_data(str(make_data(4))).clips
    facts = spec(shuffled=True)
    found = {r.clip.id: r for r in reconstructions(facts, lambda: Toy(facts), clips, partner=partners(clips))}
    own = {r.clip.id: r for r in reconstructions(facts, lambda: Toy(facts), clips)}
    assert torch.equal(found["clip0"].codes, own["clip1"].codes) and torch.equal(found["clip0"].ref.wav, own["clip0"].ref.wav)
    assert found["clip3"].failure == "no other clip of this domain to replace it"


def test_bits_are_whole_for_each_code_and_the_stream_ends_on_a_byte() -> None:
    books = (Codebook(1024, 50.0), Codebook(1000, 50.0), Codebook(3, 50.0))
    assert packed_bits(torch.zeros(3, 7, dtype=torch.int64), spec(codebooks=books)) == 160  # 7 x (10 + 10 + 2) = 154 bits = 20 bytes


def test_a_stereo_clip_is_mixed_down_for_a_mono_tokenizer_and_kept_for_a_stereo_one(tmp_path: Path) -> None:
    wav = torch.stack([speech_like(0.5, 16_000, 1), speech_like(0.5, 16_000, 2)])
    soundfile.write(tmp_path / "a.wav", wav.T.numpy(), 16_000, subtype="FLOAT")
    assert torch.allclose(run(tmp_path, Toy(spec()), spec())["a.wav"].ref.wav, wav.mean(0, keepdim=True))
    stereo = registry.load_tokenizer("identity")
    twice = Spec("identity", "stereo", None, stereo.spec.codebooks, channels=2)
    clips = open_data(str(tmp_path)).clips

    class Stereo:
        spec = Spec("two", "v", None, (Codebook(2**32, math.nan),), channels=2)

        def encode(self, wav: Tensor) -> Tensor:
            return stereo.encode(wav.flatten(1)[:, None])

        def decode(self, codes: Tensor) -> Tensor:
            return stereo.decode(codes).unflatten(-1, (2, -1))[:, 0]

    (item,) = reconstructions(twice, Stereo, clips)
    assert torch.equal(item.est.wav, wav)
