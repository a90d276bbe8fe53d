"""The codec stage: clips in, reconstructions out. Reads, resamples, pads, encodes, decodes, trims; batches on a GPU, threads on a CPU.

On a CPU a batch is slower per second of audio than clips one by one (it falls out of the caches), and two clips on two single-threaded
instances beat one clip on two threads (nothing waits for the slower half of a convolution): tests/perf/test_engine.py measures both. On
a GPU clips of like length share a batch; right padding is only for causal tokenizers, others are batched where the lengths are equal.
"""

from __future__ import annotations

import itertools
import math
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.api import Clip, Packs, Spec, Tokenizer, UserError
from bench.audio import Audio, BadAudio, read_clip, resample, to_channels

BATCH_SECONDS = 240.0  # of padded audio in one GPU batch, to begin with: running out of memory halves it
WINDOW = 64  # clips that a GPU stage sorts by length at a time


@dataclass(frozen=True)
class Reconstruction:
    """One clip through a tokenizer. `failure` says why there is none; then est and codes are empty."""

    clip: Clip
    ref: Audio  # [C, T] at the file's own rate
    est: Audio  # [C, T'] at the tokenizer's rate, as long as what encode was given
    codes: Tensor  # [K, F] int64 on the CPU
    tokens: int = 0  # codes; for a codec of varying rate, bytes
    packed_bits: int = 0
    tail_loss: int = 0  # samples at the tokenizer's rate that decode did not return; zero in est
    failure: str = ""

    @property
    def seconds(self) -> float:
        """Duration of what was encoded."""
        return self.est.wav.shape[-1] / self.est.sample_rate


@dataclass(frozen=True)
class _Loaded:
    clip: Clip
    ref: Audio
    wav: Tensor  # [C, T] at the tokenizer's rate: what encode gets
    rate: int
    failure: str = ""


def cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def reconstructions(
    spec: Spec,
    load: Callable[[], Tokenizer],
    clips: Sequence[Clip],
    device: str = "cpu",
    partner: dict[str, Clip] | None = None,
    batch_seconds: float | None = None,
) -> Iterator[Reconstruction]:
    """Every clip through the tokenizer, in the order of completion; holds a handful of clips in memory, however many there are.

    `load` gives an instance to each thread. `partner`: for the shuffled floor, the clip that is encoded in place of each.
    `batch_seconds` of padded audio make a batch, 0: every clip goes alone; None: what is faster on the device.
    """
    on_cpu = torch.device(device).type == "cpu"
    threads = min(cores(), 4) if on_cpu else 1  # each holds the weights once more
    limit = (0.0 if on_cpu else BATCH_SECONDS) if batch_seconds is None else batch_seconds
    source = (_load(spec, clip, clip if partner is None else partner.get(clip.id)) for clip in clips)
    groups = _Shared(_batches(_ahead(source, WINDOW), spec, limit) if limit else ([loaded] for loaded in source))
    done: queue.Queue[Reconstruction | BaseException | None] = queue.Queue(maxsize=2)
    stop = threading.Event()

    def work() -> None:
        try:
            if on_cpu:  # a setting of the thread that makes it
                torch.set_num_threads(max(1, cores() // threads))
            tokenizer = load()
            while not stop.is_set() and (group := groups.take()) is not None:
                for reconstruction in _through(tokenizer, group, device):
                    _put(done, reconstruction, stop)
            _put(done, None, stop)
        except BaseException as error:  # carried to the thread that reads, and raised there
            _put(done, error, stop)

    for _ in range(threads):
        threading.Thread(target=work, daemon=True).start()
    try:
        for _ in range(threads):
            while (item := done.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
    finally:
        stop.set()


class _Shared:
    """An iterator that several threads take from."""

    def __init__(self, items: Iterable[list[_Loaded]]):
        self._items, self._lock = iter(items), threading.Lock()

    def take(self) -> list[_Loaded] | None:
        with self._lock:
            return next(self._items, None)


def _put(where: queue.Queue, item: object, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            return where.put(item, timeout=0.2)
        except queue.Full:
            continue


def _ahead(items: Iterator[_Loaded], count: int) -> Iterator[_Loaded]:
    """The same items, read ahead by a thread so that the GPU does not wait for files."""
    ready: queue.Queue[_Loaded | BaseException | None] = queue.Queue(maxsize=count)
    stop = threading.Event()

    def fill() -> None:
        try:
            for item in items:
                _put(ready, item, stop)
            _put(ready, None, stop)
        except BaseException as error:  # as above
            _put(ready, error, stop)

    threading.Thread(target=fill, daemon=True).start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()


def _load(spec: Spec, clip: Clip, encoded: Clip | None) -> _Loaded:
    nothing = torch.zeros(spec.channels, 0)
    try:
        if encoded is None:
            raise BadAudio("no other clip of this domain to take its place")
        ref = _channels(read_clip(clip), spec)
        source = ref if encoded is clip else _channels(read_clip(encoded), spec)
    except BadAudio as error:
        return _Loaded(clip, Audio(nothing, 1), nothing, 1, str(error))
    rate = spec.sample_rate or source.sample_rate
    return _Loaded(clip, ref, resample(source.wav, source.sample_rate, rate), rate)


def _channels(audio: Audio, spec: Spec) -> Audio:
    return Audio(to_channels(audio.wav, spec.channels), audio.sample_rate)


def _batches(items: Iterator[_Loaded], spec: Spec, seconds: float) -> Iterator[list[_Loaded]]:
    """Groups of like length: any for a causal tokenizer, equal lengths for others."""
    paddable = spec.causal and math.isfinite(spec.frame_rate)  # it is known which frames are of the padding
    while window := list(itertools.islice(items, WINDOW)):
        yield from ([item] for item in window if item.failure)
        group: list[_Loaded] = []
        for item in sorted((item for item in window if not item.failure), key=lambda item: (item.rate, item.wav.shape[-1])):
            fits = group and item.rate == group[0].rate and item.wav.shape[-1] * (len(group) + 1) <= seconds * item.rate
            if group and not (fits and (paddable or item.wav.shape[-1] == group[0].wav.shape[-1])):
                yield group
                group = []
            group.append(item)
        if group:
            yield group


def _through(tokenizer: Tokenizer, group: list[_Loaded], device: str) -> list[Reconstruction]:
    """A group through encode and decode; out of memory: its halves, one after the other."""
    if group[0].failure:
        return [_failed(item, item.failure) for item in group]
    try:
        return _batch(tokenizer, group, device)
    except torch.OutOfMemoryError:
        if len(group) == 1:
            return [
                _failed(group[0], f"out of memory on {device}: one clip of {group[0].wav.shape[-1] / group[0].rate:.1f} s does not fit")
            ]
    except UserError:
        raise
    except Exception as error:  # a tokenizer may be anyone's code: its failure costs the clip, and is told
        if len(group) == 1:
            return [_failed(group[0], f"tokenizer failed: {type(error).__name__}: {' '.join(str(error).split())}")]
    if torch.device(device).type == "cuda":
        torch.cuda.empty_cache()
    half = len(group) // 2
    return _through(tokenizer, group[:half], device) + _through(tokenizer, group[half:], device)


def _failed(item: _Loaded, why: str) -> Reconstruction:
    empty = Audio(torch.zeros(item.ref.wav.shape[0], 0), item.rate)
    return Reconstruction(item.clip, item.ref, empty, torch.zeros(0, 0, dtype=torch.int64), failure=why)


@torch.inference_mode()
def _batch(tokenizer: Tokenizer, group: list[_Loaded], device: str) -> list[Reconstruction]:
    spec = tokenizer.spec
    longest = max(item.wav.shape[-1] for item in group)
    wav = torch.stack([torch.nn.functional.pad(item.wav, (0, longest - item.wav.shape[-1])) for item in group])
    codes = tokenizer.encode(wav.to(device))
    check_codes(codes, spec, len(group))
    decoded = tokenizer.decode(codes) if spec.decodes else wav[..., :0]
    if decoded.ndim != 3 or decoded.shape[:2] != wav.shape[:2]:
        raise ValueError(f"decode must give [{len(group)}, {spec.channels}, T], got {tuple(decoded.shape)}")
    codes, decoded = codes.cpu(), decoded.float().cpu()
    return [_one(tokenizer, item, codes[i], decoded[i], item.wav.shape[-1] < longest) for i, item in enumerate(group)]


def _one(tokenizer: Tokenizer, item: _Loaded, codes: Tensor, decoded: Tensor, padded: bool) -> Reconstruction:
    length = item.wav.shape[-1]
    if padded:  # frames past the clip's own end are of the padding
        codes = codes[:, : math.ceil(length * tokenizer.spec.frame_rate / item.rate - 1e-6)]
    missing = max(0, length - decoded.shape[-1]) if tokenizer.spec.decodes else 0
    est = torch.nn.functional.pad(decoded[:, :length], (0, missing)).clone()
    if not bool(torch.isfinite(est).all()):
        return _failed(item, "decode gave NaN or infinite samples")
    if isinstance(tokenizer, Packs):
        bits = tokenizer.packed_bits(codes[None])
        tokens = bits // 8
    else:
        bits, tokens = packed_bits(codes, tokenizer.spec), codes.numel()
    return Reconstruction(item.clip, item.ref, Audio(est, item.rate), codes.clone(), tokens, bits, missing)


def packed_bits(codes: Tensor, spec: Spec) -> int:
    """Bits of codes [K, F] written one after the other in the fewest whole bits each, the stream padded to a byte."""
    return 8 * math.ceil(codes.shape[-1] * sum(math.ceil(math.log2(c.size)) for c in spec.codebooks) / 8)


def check_codes(codes: Tensor, spec: Spec, batch: int) -> None:
    """Raises ValueError unless codes are [batch, K, F] int64 and every one lies in its codebook."""
    if codes.ndim != 3 or codes.shape[:2] != (batch, len(spec.codebooks)) or codes.dtype != torch.int64:
        raise ValueError(f"codes must be [{batch}, {len(spec.codebooks)}, F] int64, got {list(codes.shape)} {codes.dtype}")
    if codes.numel():
        sizes = torch.tensor([c.size for c in spec.codebooks], device=codes.device)[:, None]
        if bool(((codes < 0) | (codes >= sizes)).any()):
            raise ValueError(
                f"codes lie in {int(codes.min())}..{int(codes.max())}, outside of their codebooks {[c.size for c in spec.codebooks]}"
            )
