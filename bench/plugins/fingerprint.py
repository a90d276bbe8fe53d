"""What a tokenizer of the user's own is, as one sha256: its file, what it took in from its folder, and the numbers that it computes with.

Names are relative to the folder and times do not count: the same content is the same tokenizer on another day and in another place.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import CellType, FunctionType, MethodType, ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from bench.api import Spec, Tokenizer, UserError
from bench.plugins import boundary
from bench.plugins.loading import LOADED, Plugin, active

OPENED_IN_C = frozenset(  # suffixes of files that libraries open without Python's knowledge
    ".bin .ckpt .engine .gguf .h5 .jit .npy .npz .onnx .pb .pt .pt2 .pth .safetensors .so .tflite .ts".split()
)
MENTIONS = 400  # names in a file that are looked for in its folder
SECONDS = 0.5  # of silence that is coded, so that what is loaded at the first call is known, too


def fingerprint(tokenizer: Tokenizer, file: Path, device: str) -> str:
    """sha256 in hexadecimal; that of the file alone where it loads nothing else."""
    plugin = LOADED[file]
    numbers = dict(_numbers(plugin, tokenizer))
    _try(tokenizer, file, device)
    late = {name: digest for name, digest in _numbers(plugin, tokenizer, learned=True) if name not in numbers}
    taken = {path for path in _taken(plugin) if path != file and path.is_file()}
    content = sorted((_name(path, plugin.folder), _sha256(path)) for path in taken)
    own = _sha256(file)
    if not content and not numbers and not late:
        return own
    facts = {"file": own, "beside": content, "numbers": sorted((numbers | late).items())}
    return hashlib.sha256(json.dumps(facts, separators=(",", ":")).encode()).hexdigest()


def _try(tokenizer: Tokenizer, file: Path, device: str) -> None:
    """Codes a little silence; that it fails is for the run to tell."""
    spec = tokenizer.spec
    with contextlib.suppress(UserError, torch.OutOfMemoryError), torch.inference_mode(), active(file):
        wav = torch.zeros(1, spec.channels, round(SECONDS * (spec.sample_rate or 16_000)), device=device)
        codes = boundary.encode(tokenizer, wav)
        if spec.decodes:
            boundary.decode(tokenizer, codes)


def _taken(plugin: Plugin) -> set[Path]:
    """Files that it opened, modules of its folder, and weights that these name."""
    sources = [plugin.file, *(Path(file) for module in plugin.beside.values() if (file := module.__file__))]
    return {*plugin.reads, *sources, *(path for source in sources for path in _mentioned(source, plugin.folder))}


def _mentioned(source: Path, folder: Path) -> Iterator[Path]:
    """Files of weights in the folder, or in one of its folders, whose names are written in a source."""
    if source.suffix != ".py":
        return
    tree = ast.parse(source.read_bytes())
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    short = [word for word in sorted(words) if 0 < len(word) < 200 and "\n" not in word and "\0" not in word][:MENTIONS]
    places = [folder, *(folder / word for word in short if (folder / word).is_dir())]
    for word in short:
        if Path(word).suffix in OPENED_IN_C:
            yield from (place / word for place in places if (place / word).is_file())


def _numbers(plugin: Plugin, tokenizer: Tokenizer, learned: bool = False) -> Iterator[tuple[str, str]]:
    """(where, sha256) of every tensor and array of the tokenizer, its modules' variables and its classes; `learned`: of parameters only."""
    seen: set[int] = set()
    yield from _of(tokenizer, "self", seen, learned)
    for module in (plugin.module, *plugin.beside.values()):
        name = "" if module is plugin.module else module.__name__
        for key, value in sorted(vars(module).items()):
            if isinstance(value, type):
                if value.__module__ == module.__name__:
                    yield from _of({k: v for k, v in vars(value).items() if _may_hold(v)}, f"{name}:{key}", seen, learned)
            elif _may_hold(value):
                yield from _of(value, f"{name}:{key}", seen, learned)


def _may_hold(value: object) -> bool:
    return isinstance(value, Tensor | np.ndarray | nn.Module | dict | list | tuple)


def numbers_of(tokenizer: object) -> list[tuple[str, str]]:
    """(where, sha256) of every tensor and array that an object is made of."""
    return sorted(_of(tokenizer, "self", set(), False))


def _of(thing: object, name: str, seen: set[int], learned: bool) -> Iterator[tuple[str, str]]:
    if isinstance(thing, nn.Parameter) or (isinstance(thing, Tensor | np.ndarray) and not learned):
        yield name, _digest(thing)
        return
    if id(thing) in seen:
        return
    seen.add(id(thing))
    for key, value in _inside(thing):
        yield from _of(value, f"{name}.{key}", seen, learned)


def _inside(thing: object) -> list[tuple[str, object]]:
    """What a thing is made of, as far as tensors may be in it. Plain numbers do not count: they may be times, or a device's."""
    if isinstance(thing, str | bytes | bytearray | int | float | complex | type | ModuleType | Spec | Tensor | np.ndarray):
        return []
    if isinstance(thing, dict):
        return [(str(key), value) for key, value in thing.items()]
    if isinstance(thing, list | tuple):
        return [(str(i), value) for i, value in enumerate(thing)]
    if isinstance(thing, torch.jit.ScriptModule):
        return list(thing.state_dict().items())
    if isinstance(thing, partial):
        return [("func", thing.func), ("args", thing.args), ("keywords", thing.keywords)]
    if isinstance(thing, MethodType):
        return [("self", thing.__self__)]
    if isinstance(thing, FunctionType):
        return [(str(i), cell.cell_contents) for i, cell in enumerate(thing.__closure__ or ()) if cell != CellType()]
    return list(getattr(thing, "__dict__", {}).items())


def _digest(numbers: Tensor | np.ndarray) -> str:
    if isinstance(numbers, np.ndarray):
        return hashlib.sha256(f"{numbers.dtype} {list(numbers.shape)}\n".encode() + numbers.tobytes()).hexdigest()
    if isinstance(numbers, nn.UninitializedParameter | nn.UninitializedBuffer) or numbers.is_meta:
        return "no numbers yet"
    tensor = numbers.detach()
    tensor = tensor.dequantize() if tensor.is_quantized else tensor if tensor.layout is torch.strided else tensor.to_dense()
    data = tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes() if tensor.numel() else b""
    return hashlib.sha256(f"{tensor.dtype} {list(tensor.shape)}\n".encode() + data).hexdigest()


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
