"""Half precision on a CPU, proven before it is used: each product and convolution against float32 of the same numbers.

Torch 2.13 computes some bfloat16 convolutions wrongly on processors with AMX (about one shape in ten, wrong by 100 %), without a word. So
a tokenizer is run once on a little audio, and whatever differs by more than rounding is refused by name.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from bench.api import Tokenizer, UserError
from bench.data import synthetic_audio
from bench.plugins import boundary

HALVES = (torch.bfloat16, torch.float16)
PROVEN = ("conv", "linear", "addmm", "mm", "bmm", "matmul", "attention", "lstm", "gru", "einsum")  # in the names of what is compared
ROUNDING = 0.05  # of the norm: a product rounds to 0.003 in bfloat16, a recurrence to some times that; what is wrong is wrong by about 1
LENGTHS = (1.0, 0.37)  # s of audio
CURE = "ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16"  # keeps oneDNN from the instructions whose kernels are wrong

_LOCK = threading.Lock()
_PROVEN: dict[object, str] = {}
"""What was found of each tokenizer in this process: "", or the line that refuses it."""


@dataclass(frozen=True)
class Wrong:
    """An operation whose result is not that of float32."""

    layer: str  # the module that ran it, by its name in the model
    operation: str  # with the shapes of its tensors
    error: float  # norm of the difference over that of the right result


class _Comparison(TorchDispatchMode):
    """Runs each of PROVEN that is given half precision a second time, in float32."""

    def __init__(self, running: list[str]):
        super().__init__()
        self.running, self.wrong, self.seen = running, dict[str, Wrong](), set[str]()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: object, args: Sequence[object] = (), kwargs: Mapping[str, object] | None = None
    ) -> object:
        kwargs = dict(kwargs or {})
        name = str(func)
        made = computed(func, args, kwargs)
        if any(part in name for part in PROVEN) and any(x.dtype in HALVES and x.device.type == "cpu" for x in _tensors(made)):
            shapes = ", ".join(str(list(x.shape)) for x in args if isinstance(x, Tensor))
            rest = ", ".join(str(x) for x in args if isinstance(x, list | tuple) and all(isinstance(y, int) for y in x))
            operation = f"{name.split('.')[1] if '.' in name else name} of {shapes}" + (f", {rest}" if rest else "")
            if operation not in self.seen:
                self.seen.add(operation)
                for found, right in zip(_tensors(made), _tensors(func(*_single(args), **_single(kwargs))), strict=True):
                    self._compare(operation, found, right)
        return made

    def _compare(self, operation: str, found: Tensor, right: Tensor) -> None:
        size, error = float(right.norm()), float((found.float() - right).norm())
        if not error <= ROUNDING * size:
            layer = self.running[-1] if self.running else operation.split(" ")[0]
            self.wrong.setdefault(operation, Wrong(layer, operation, error / size if size else float("inf")))


def computed(func: Callable[..., Any], args: Sequence[object], kwargs: Mapping[str, object]) -> Any:
    """What torch makes of it, in the precision that it is given."""
    return func(*args, **kwargs)


def _tensors(made: object) -> list[Tensor]:
    return [x for x in (made if isinstance(made, tuple | list) else [made]) if isinstance(x, Tensor) and x.is_floating_point()]


def _single(arguments: Any) -> Any:
    return tree_map(lambda x: x.float() if isinstance(x, Tensor) and x.dtype in HALVES else x, arguments)


@contextmanager
def compared(modules: Iterable[nn.Module]) -> Iterator[dict[str, Wrong]]:
    """What is wrong of all that is computed within, by operation; filled by the end."""
    running: list[str] = []
    hooks = []
    for module in modules:
        for name, inner in module.named_modules():
            called = f"{name or 'the model'} ({type(inner).__name__})"
            hooks.append(inner.register_forward_pre_hook(lambda *_, called=called: running.append(called)))
            hooks.append(inner.register_forward_hook(lambda *_: running.pop() and None, always_call=True))
    try:
        with _Comparison(running) as mode:
            yield mode.wrong
    finally:
        for hook in hooks:
            hook.remove()


def refusal(wrong: Mapping[str, Wrong], dtype: torch.dtype) -> str:
    """The line that says what is wrong and how to go on; "" where nothing is."""
    if not wrong:
        return ""
    worst = max(wrong.values(), key=lambda one: one.error)
    cure = "" if os.environ.get(CURE.split("=")[0]) else f"set {CURE} in the environment, or "
    others = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return (
        f"torch computes {worst.layer} wrongly in {str(dtype).removeprefix('torch.')} on this processor "
        f"({worst.operation}: off by {100 * worst.error:.0f} %{others}): {cure}use float32"
    )


def prove(tokenizer: Tokenizer, modules: Sequence[nn.Module], dtype: torch.dtype) -> None:
    """UserError where a layer of the tokenizer, on the CPU, is not right in that precision. Looks once in a process."""
    spec = tokenizer.spec
    key = (type(tokenizer), spec, dtype, torch.backends.mkldnn.enabled, sum(p.numel() for module in modules for p in module.parameters()))
    with _LOCK:
        if key not in _PROVEN:
            _PROVEN[key] = _found(tokenizer, modules, dtype)
    if _PROVEN[key]:
        raise UserError(f"{spec.label}: {_PROVEN[key]}")


@torch.inference_mode()
def _found(tokenizer: Tokenizer, modules: Sequence[nn.Module], dtype: torch.dtype) -> str:
    spec, rate = tokenizer.spec, tokenizer.spec.sample_rate or 16_000
    with compared(modules) as wrong:
        for seconds in LENGTHS:
            wav = synthetic_audio.voice((1, spec.channels, round(seconds * rate)), rate, seed=0)
            try:
                with torch.autocast("cpu", dtype):
                    codes = boundary.encode(tokenizer, wav)
                    if spec.decodes:
                        boundary.decode(tokenizer, codes)
            except boundary.Failed:  # for the run to tell
                break
    return refusal(wrong, dtype)
