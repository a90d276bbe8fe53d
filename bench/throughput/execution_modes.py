"""Encode and decode as one call each, in another precision, compiled, or as a CUDA graph. What does not apply raises Skip and says why."""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from bench.api import Codes, Tokenizer, UserError
from bench.engine.autocast import Lowered, layers
from bench.plugins import calls
from bench.throughput.macs import LIBRARY
from bench.throughput.sweep import Point

Call = Callable[..., Tensor | tuple[Tensor, ...]]


class Skip(Exception):
    """This way of running does not apply; the text says why."""


@contextmanager
def way(tokenizer: Tokenizer, side: str, point: Point, example: Sequence[Tensor]) -> Iterator[Call]:
    """tokenizer.encode or .decode as a point runs it, for what looks like the example: wav, or codes and side codes."""
    device = example[0].device
    refuse(tokenizer, point, device.type)
    if point.dtype != "float32":
        tokenizer = _proven(Lowered(tokenizer, tokenizer.spec, getattr(torch, point.dtype)), device)
    function = partial(_encode if side == "encode" else _decode, tokenizer)
    if point.mode == "compiled":
        for part in ("torch._dynamo", "torch._inductor"):
            logging.getLogger(part).setLevel(logging.ERROR)  # that a codec is compiled in parts is no news
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield torch.inference_mode()(torch.compile(function, dynamic=False))
        torch.compiler.reset()
    else:
        yield _graph(function, example) if point.mode == "graph" else torch.inference_mode()(function)


def _encode(tokenizer: Tokenizer, wav: Tensor) -> tuple[Tensor, ...]:
    return calls.encode(tokenizer, wav).parts


def _decode(tokenizer: Tokenizer, *parts: Tensor) -> Tensor:
    return calls.decode(tokenizer, Codes(*parts))


def _proven(tokenizer: Lowered, device: torch.device) -> Lowered:
    try:
        if device.type == "cpu":  # not within what is compiled
            tokenizer.prove()
    except UserError as error:
        raise Skip(str(error)) from error
    return tokenizer


def refuse(tokenizer: Tokenizer, point: Point, kind: str) -> None:
    """Skip where it is known beforehand that this cannot be."""
    if point.plain:
        return
    if not layers(tokenizer):
        raise Skip(LIBRARY)
    if point.mode == "graph" and kind != "cuda":
        raise Skip("a CUDA graph needs a GPU")
    if point.mode == "compiled" and kind == "cpu" and not any(map(shutil.which, ("c++", "g++", "clang++"))):
        raise Skip("torch.compile needs a C++ compiler: install g++")


def _graph(call: Call, example: Sequence[Tensor]) -> Call:
    """The call's kernels, recorded once and launched together; input and output lie where they lay."""
    eager = torch.inference_mode()(call)
    given, device = [part.clone() for part in example], example[0].device
    aside = torch.cuda.Stream(device)
    aside.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(aside):  # torch wants a few calls on a stream of their own first
        for _ in range(3):
            eager(*given)
    torch.cuda.current_stream(device).wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        made = eager(*given)

    @torch.inference_mode()
    def replay(*x: Tensor) -> Tensor | tuple[Tensor, ...]:
        for place, part in zip(given, x, strict=True):
            place.copy_(part)
        graph.replay()
        return made

    return replay
