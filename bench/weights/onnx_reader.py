"""ONNX files -> the steps of their graph and the arrays that these use, read by position: nothing in the file is run.

An .onnx file is a protocol buffer (protobuf.dev/programming-guides/encoding) of the schema onnx/onnx.proto; of it only what a network's
weights need is read: the nodes of the graph in their order, initializers, and the values of Constant nodes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.api import UserError

DTYPES = {1: np.float32, 6: np.int32, 7: np.int64, 10: np.float16, 11: np.float64}  # TensorProto.DataType; others hold no weights here
VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5  # how a field is written


@dataclass(frozen=True)
class OnnxTensor:
    """What goes into a step: its name, and its values, None where it is computed."""

    name: str
    data: np.ndarray | None


@dataclass(frozen=True)
class OnnxNode:
    """One step: its name, its operator, as "MatMul", and what goes in."""

    name: str
    kind: str
    inputs: tuple[OnnxTensor, ...]


def read(path: Path) -> list[OnnxNode]:
    """The nodes of the graph in their order. UserError where the file is no ONNX model."""
    try:
        return _model(np.memmap(path, np.uint8, "r").data)
    except (OSError, ValueError, IndexError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as an ONNX model ({error}): give the file of the official repository") from error


def _model(content: memoryview) -> list[OnnxNode]:
    graphs = [value for number, value in _fields(content) if number == 7 and isinstance(value, memoryview)]
    if len(graphs) != 1:
        raise ValueError(f"it has {len(graphs)} graphs")
    nodes, stored = [], dict[str, np.ndarray | None]()
    for number, value in _fields(graphs[0]):
        if number == 1:
            nodes.append(_parts(value))
        elif number == 5:
            name, data = _tensor(value)
            stored[name] = data
    for node in nodes:
        if node.kind == "Constant" and node.outputs and node.values:
            stored[node.outputs[0]] = node.values[0]
    return [OnnxNode(node.name, node.kind, tuple(OnnxTensor(x, stored.get(x)) for x in node.inputs)) for node in nodes]


@dataclass
class _Parts:
    """Of a node: the names that go in and out, its own, its operator, and the tensors among its attributes."""

    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    name: str = ""
    kind: str = ""
    values: list[np.ndarray | None] = field(default_factory=list)


def _parts(content: memoryview | int) -> _Parts:
    node = _Parts()
    for number, value in _fields(content):
        if number == 1:
            node.inputs.append(_text(value))
        elif number == 2:
            node.outputs.append(_text(value))
        elif number == 3:
            node.name = _text(value)
        elif number == 4:
            node.kind = _text(value)
        elif number == 5:
            node.values += [_tensor(part)[1] for place, part in _fields(value) if place == 5]
    return node


def _tensor(content: memoryview | int) -> tuple[str, np.ndarray | None]:
    """Name and values; None where they are of a type, or written in a way, that weights are not."""
    shape, dtype, name, raw, outside = [], 0, "", None, False
    for number, value in _fields(content):
        if number == 1:
            shape += [value] if isinstance(value, int) else list(_varints(value))
        elif number == 2 and isinstance(value, int):
            dtype = value
        elif number == 8:
            name = _text(value)
        elif number in (4, 9) and isinstance(value, memoryview):  # floats one after the other, or any type as it lies in memory
            raw = value
        elif number == 14:
            outside = value == 1
    if outside:
        raise ValueError(f"tensor {name} lies in another file")
    if raw is None or dtype not in DTYPES:
        return name, None
    values = np.frombuffer(raw, np.dtype(DTYPES[dtype]).newbyteorder("<"))
    if values.size != math.prod(shape):
        raise ValueError(f"tensor {name} has {values.size} values for the shape {shape}")
    return name, values.reshape(shape).copy()


def _fields(content: memoryview | int) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of each field of a message; a value is an integer or the bytes of it."""
    if isinstance(content, int):
        raise ValueError("a number stands where a message should")
    position = 0
    while position < len(content):
        key, position = _varint(content, position)
        number, how = key >> 3, key & 7
        if how == VARINT:
            value, position = _varint(content, position)
        else:
            if how == BYTES:
                size, position = _varint(content, position)
            elif how in (EIGHT, FOUR):
                size = 8 if how == EIGHT else 4
            else:
                raise ValueError(f"a field is written in the unknown way {how}")
            if size > len(content) - position:
                raise ValueError("it ends in the middle of a field")
            value, position = content[position : position + size], position + size
        yield number, value


def _varint(content: memoryview, position: int) -> tuple[int, int]:
    """An integer of seven bits a byte, the lowest first, and where the next field begins."""
    value = 0
    for shift in range(0, 70, 7):
        byte = content[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise ValueError("an integer is too long")


def _varints(content: memoryview) -> Iterator[int]:
    position = 0
    while position < len(content):
        value, position = _varint(content, position)
        yield value


def _text(value: memoryview | int) -> str:
    if isinstance(value, int):
        raise ValueError("a number stands where a text should")
    return bytes(value).decode()
