"""Products of few rows, as a live stream makes them frame by frame: which of two libraries multiplies is asked of the machine once.

A frame reads every weight for one row or two, so that time goes into reading memory and into calls, not into sums. oneDNN (bench.nn.onednn)
has its own order of weights and takes 20 to 60 microseconds a call; torch's own product (BLAS: MKL in most builds) takes 5 and reads a
matrix as it lies. Which is sooner done differs by kind of product and by processor, not by who made it. So the kinds are timed at first
use, a tenth of a second, and the verdict is kept in the cache folder beside the processor, torch and the number of threads that it is of:
all processes of a machine multiply alike. AUDIO_TOKENIZER_BENCH_FEW_ROWS=blas or onednn decides for all kinds instead. Both give the same
values but for rounding; products of many rows are oneDNN's everywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.api import UserError
from bench.weights.download import cache_folder

FORCED = "AUDIO_TOKENIZER_BENCH_FEW_ROWS"
LIBRARIES = "blas", "onednn"
USUAL = {"row": "blas", "pair": "onednn", "small": "blas"}  # what is taken where no verdict can be kept: processes must not differ
FEW = 2  # rows; for more of them oneDNN takes half of BLAS's time even where all weights come from memory
SMALL = 2**22  # multiply-accumulates: above, both libraries' calls cost nothing beside their sums
CACHED = 2**18  # values of a weight that the second cache still holds when its frame comes again
TURNS = 5  # of the measurement; the best counts


def by_blas(x: Tensor, rows: int, weight: Tensor) -> bool:
    """Whether BLAS multiplies so many rows by `weight`, of any shape, each value once a row; x is what the rows are made of."""
    values = weight.numel()
    if x.dtype != torch.float32 or (rows > FEW and (values > CACHED or rows * values > SMALL)):
        return False
    kind = "small" if values <= CACHED and rows * values <= SMALL else "row" if rows == 1 else "pair"
    return libraries()[kind] == "blas"


def laid(matrix: Tensor) -> Tensor:
    """A weight [out, in] as BLAS reads it best: along its longer side, unless it is so small that a cache holds it."""
    if matrix.shape[0] <= matrix.shape[1] or matrix.numel() <= CACHED // 4:
        return matrix.contiguous()
    return matrix.t().contiguous().t()


def taps_first(weight: Tensor) -> Tensor:
    """A convolution's weight [out, in, k] as the matrix [out, k * in] that multiplies k frames laid side by side."""
    return laid(weight.transpose(1, 2).flatten(1))


def count(length: int, taps: int, stride: int = 1, dilation: int = 1) -> int:
    """Outputs of a convolution without padding."""
    return (length - (taps - 1) * dilation - 1) // stride + 1


def convolved(x: Tensor, matrix: Tensor, bias: Tensor | None, stride: int = 1, dilation: int = 1, onto: Tensor | None = None) -> Tensor:
    """Convolution of x [B, in, T] with a matrix [out, k * in] -> [B, out, T'] stored by frames; added to `onto`, which may change."""
    rows = x.transpose(1, 2).contiguous()
    batch, length, inputs = rows.shape
    taps = matrix.shape[1] // inputs
    if taps > 1 or stride > 1:
        steps = rows.stride(0), stride * inputs, dilation * inputs, 1
        rows = rows.as_strided((batch, count(length, taps, stride, dilation), taps, inputs), steps)  # of one window: no copy
    y = F.linear(rows.reshape(-1, matrix.shape[1]), matrix, bias).view(batch, -1, len(matrix)).transpose(1, 2)
    return y if onto is None else y.add_(onto)


@lru_cache(maxsize=1)
def libraries() -> Mapping[str, str]:
    """The library of each kind: `row`, one row and a weight from memory; `pair`, two rows of such; `small`, products within the caches."""
    if forced := os.environ.get(FORCED):
        if forced not in LIBRARIES:
            raise UserError(f"{FORCED}={forced} in the environment: choose from {', '.join(LIBRARIES)}, or unset it to have it measured")
        return dict.fromkeys(USUAL, forced)
    try:
        return _kept(cache_folder() / "libraries" / f"{_machine()}.json")
    except OSError:  # nothing can be kept there
        return USUAL


def _machine() -> str:
    """A name for what the verdict depends on."""
    try:
        facts = re.findall(r"^(?:model name|cpu family|model|cache size)\s*: .+$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    except OSError:  # not a Linux
        facts = [platform.processor(), platform.machine()]
    about = [*dict.fromkeys(facts), torch.backends.cpu.get_cpu_capability(), torch.__version__, str(torch.get_num_threads())]
    return hashlib.sha256("\n".join(about).encode()).hexdigest()[:16]


def _kept(path: Path) -> Mapping[str, str]:
    """The verdict in that file; measured now where there is none. Of processes that measure at once the first one's counts."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        seconds = measured()
        content = {"libraries": {kind: min(of, key=of.__getitem__) for kind, of in seconds.items()}, "seconds": seconds}
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, suffix=".part") as file:
            file.write(json.dumps(content, indent=1) + "\n")
            file.flush()
            try:
                os.link(file.name, path)  # whole at once, and never over another's
            except FileExistsError:
                pass
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["libraries"]
        if set(found) == set(USUAL) and set(found.values()) <= set(LIBRARIES):
            return found
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    raise UserError(f"{path} does not say which library multiplies: delete it, and it is measured again")


@torch.no_grad()
@torch.inference_mode(False)
def measured() -> dict[str, dict[str, float]]:
    """Seconds of each kind of product by each library: weights that no cache holds are as wide, and as high, as those of codecs."""
    from bench.nn.onednn import ordered_matrix, product

    draw = torch.Generator().manual_seed(0)
    by_kind = {"row": (1, ((2048, 512), (512, 2048)) * 3), "pair": (2, ((2048, 512), (512, 2048)) * 3), "small": (160, ((32, 192),) * 16)}
    seconds = {}
    for kind, (rows, shapes) in by_kind.items():
        weights = [torch.randn(shape, generator=draw) for shape in shapes]
        plain, ordered = [laid(weight) for weight in weights], [ordered_matrix(weight) for weight in weights]
        inputs = {width: torch.randn(rows, width, generator=draw) for _, width in shapes}
        calls: dict[str, Callable[[], object]] = {
            "blas": lambda plain=plain, inputs=inputs: [F.linear(inputs[weight.shape[1]], weight) for weight in plain],
            "onednn": lambda ordered=ordered, inputs=inputs, shapes=shapes: [
                product(inputs[width], weight) for weight, (_, width) in zip(ordered, shapes, strict=True)
            ],
        }
        turns = [{name: _seconds(call) for name, call in calls.items()} for _ in range(TURNS)]
        seconds[kind] = {name: min(turn[name] for turn in turns) for name in calls}
    return seconds


def _seconds(call: Callable[[], object]) -> float:
    start = time.thread_time()  # of this thread alone, whatever else is running; others that share its products work as long as it does
    call()
    return time.thread_time() - start
