"""TensorFlow Lite files -> arrays and the operators that use them, read by position: nothing in the file is run.

A .tflite file is a FlatBuffer (flatbuffers.dev/internals) of the schema tensorflow/compiler/mlir/lite/schema/schema.fbs; of it only what a
network's weights need is read: tensors with their quantization, and the operators of each subgraph in the order of their execution.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.api import UserError

DTYPES = {0: np.float32, 2: np.int32, 4: np.int64, 9: np.int8}  # TensorType of the schema; others hold no weights here
OPERATORS = {
    0: "add",
    2: "concatenate",
    3: "conv",
    4: "depthwise",
    6: "dequantize",
    36: "gather",
    41: "subtract",
    49: "split",
    67: "transposed",
    98: "leaky_relu",
    114: "quantize",
}


@dataclass(frozen=True)
class TfliteTensor:
    """A tensor of the graph, `data` None where it is computed; quantized, it stands for scale x (data - zero), per channel of `axis`."""

    name: str
    shape: tuple[int, ...]
    data: np.ndarray | None
    scale: np.ndarray  # float32; empty: not quantized
    zero: np.ndarray  # int64
    axis: int

    @property
    def quantized(self) -> bool:
        return self.scale.size > 0

    def values(self) -> np.ndarray:
        """What the stored data stands for, float32."""
        if self.data is None:
            raise ValueError(f"tensor {self.name} is computed, not stored")
        if not self.quantized:
            return self.data
        shape = [1] * self.data.ndim
        shape[self.axis if self.scale.size > 1 else 0] = self.scale.size
        return (self.scale.reshape(shape) * (self.data.astype(np.float64) - self.zero.reshape(shape))).astype(np.float32)


@dataclass(frozen=True)
class TfliteOperator:
    """One step: its kind ("" where it is none of OPERATORS), and the tensors that go in and out (an optional input left out: None)."""

    kind: str
    inputs: tuple[TfliteTensor | None, ...]
    outputs: tuple[TfliteTensor | None, ...]
    alpha: float = math.nan  # of a leaky ReLU: what negative values are multiplied by


def read(path: Path) -> list[list[TfliteOperator]]:
    """The operators of each subgraph. UserError where the file is no TensorFlow Lite model."""
    try:
        content = path.read_bytes()
        if content[4:8] != b"TFL3":
            raise ValueError("it does not begin as one")
        return _model(_Table(content, struct.unpack_from("<I", content)[0]))
    except (OSError, struct.error, ValueError, IndexError, OverflowError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as a TensorFlow Lite model ({error}): give the file of the official repository") from error


class _Table:
    """A FlatBuffer table: fields by their number in the schema."""

    def __init__(self, content: bytes, position: int):
        self.content, self.position = content, position
        self.fields = position - struct.unpack_from("<i", content, position)[0]
        self.size = struct.unpack_from("<H", content, self.fields)[0]

    def _at(self, field: int) -> int | None:
        """Where the field's value is; None where it has its default."""
        place = 4 + 2 * field
        offset = struct.unpack_from("<H", self.content, self.fields + place)[0] if place < self.size else 0
        return self.position + offset if offset else None

    def number(self, field: int, form: str, default: int = 0):  # int, or float where form says so
        at = self._at(field)
        return default if at is None else struct.unpack_from("<" + form, self.content, at)[0]

    def array(self, field: int, dtype: type[np.generic]) -> np.ndarray:
        """A vector of numbers [n]; empty where there is none."""
        start = self._start(field)
        if start is None:
            return np.zeros(0, dtype)
        count = struct.unpack_from("<I", self.content, start)[0]
        return np.frombuffer(self.content, np.dtype(dtype).newbyteorder("<"), count, start + 4).astype(dtype)

    def text(self, field: int) -> str:
        return self.array(field, np.uint8).tobytes().decode()

    def table(self, field: int) -> _Table | None:
        start = self._start(field)
        return None if start is None else _Table(self.content, start)

    def tables(self, field: int) -> list[_Table]:
        start = self._start(field)
        if start is None:
            return []
        count = struct.unpack_from("<I", self.content, start)[0]
        places = range(start + 4, start + 4 + 4 * count, 4)
        return [_Table(self.content, place + struct.unpack_from("<I", self.content, place)[0]) for place in places]

    def _start(self, field: int) -> int | None:
        at = self._at(field)
        return None if at is None else at + struct.unpack_from("<I", self.content, at)[0]


def _model(model: _Table) -> list[list[TfliteOperator]]:
    codes = [max(code.number(0, "b"), code.number(3, "i")) for code in model.tables(1)]  # the old field holds codes below 127 only
    buffers = model.tables(4)
    found = []
    for graph in model.tables(2):
        tensors = [_tensor(table, buffers) for table in graph.tables(0)]
        found.append([_operator(table, codes, tensors) for table in graph.tables(3)])
    return found


def _tensor(table: _Table, buffers: list[_Table]) -> TfliteTensor:
    shape = tuple(int(n) for n in table.array(0, np.int32))
    raw = buffers[table.number(2, "I")].array(0, np.uint8)
    dtype = DTYPES.get(table.number(1, "b"))
    data = raw.view(dtype).reshape(shape) if raw.size and dtype else None
    quantization = table.table(4)
    scale = quantization.array(2, np.float32) if quantization else np.zeros(0, np.float32)
    zero = quantization.array(3, np.int64) if quantization else np.zeros(0, np.int64)
    return TfliteTensor(table.text(3), shape, data, scale, zero, quantization.number(6, "i") if quantization else 0)


def _operator(table: _Table, codes: list[int], tensors: list[TfliteTensor]) -> TfliteOperator:
    inputs, outputs = (tuple(tensors[i] if i >= 0 else None for i in table.array(field, np.int32)) for field in (1, 2))
    kind, options = OPERATORS.get(codes[table.number(0, "I")], ""), table.table(4)
    alpha = options.number(0, "f") if options and kind == "leaky_relu" else math.nan
    return TfliteOperator(kind, inputs, outputs, alpha)
