"""bench.weights.onnx_reader: arrays and steps as they lie in the file, and one line about a file that is no model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.api import UserError
from bench.weights.onnx_reader import read

FLOATS = np.arange(6, dtype=np.float32).reshape(2, 3) / 7


def number(value: int) -> bytes:
    """A protocol buffer's integer."""
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + number(rest) if rest else bytes([low])


def field(key: int, value: bytes | str | int) -> bytes:
    """A field of a message."""
    if isinstance(value, int):
        return number(key << 3) + number(value)
    value = value.encode() if isinstance(value, str) else value
    return number(key << 3 | 2) + number(len(value)) + value


def tensor(name: str, values: np.ndarray, dtype: int, shape: bytes = b"") -> bytes:
    shape = shape or b"".join(field(1, size) for size in values.shape)
    return shape + field(2, dtype) + field(8, name) + field(9, values.tobytes())


def node(name: str, kind: str, inputs: list[str], rest: bytes = b"") -> bytes:
    return b"".join(field(1, x) for x in inputs) + field(2, "out") + field(3, name) + field(4, kind) + rest


def model(*parts: bytes) -> bytes:
    """A model file with these fields of its graph."""
    return field(1, 8) + field(2, "a maker") + field(7, b"".join(parts) + field(2, "graph"))


def written(folder: Path, content: bytes) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(content)
    return path


def test_steps_come_in_order_with_their_arrays(tmp_path: Path) -> None:
    bias = np.array([1.5, -2], dtype=np.float16)
    constant = node("c", "Constant", []) + field(5, field(1, "value") + field(5, tensor("", np.array([7], dtype=np.int64), 7)))
    packed = field(1, number(2) + number(1)) + field(2, 1) + field(8, "packed") + field(4, FLOATS[0, :2].tobytes())
    content = model(
        field(1, constant),
        field(1, node("/a/MatMul", "MatMul", ["x", "weight"])),
        field(1, node("/a/Add", "Add", ["out", "bias", "packed"])),
        field(5, tensor("weight", FLOATS, 1)),
        field(5, tensor("bias", bias, 10)),
        field(5, packed),
        number(9 << 3 | 5) + bytes(4) + number(10 << 3 | 1) + bytes(8),  # fields that nobody reads, of four and eight bytes
    )
    constant_step, product, addition = read(written(tmp_path, content))
    assert [step.kind for step in (constant_step, product, addition)] == ["Constant", "MatMul", "Add"]
    assert [step.name for step in (product, addition)] == ["/a/MatMul", "/a/Add"]
    assert product.inputs[0].data is None and product.inputs[1].name == "weight"
    expected = [FLOATS, np.array([7]), bias, FLOATS[:1, :2].T]  # what a Constant gives is an array like any other
    for array, found in zip(expected, (product.inputs[1], *addition.inputs), strict=True):
        assert found.data is not None and found.data.dtype == array.dtype and np.array_equal(found.data, array)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "cannot be read"),
        (b"no model at all", "cannot be read"),
        (field(1, 8), "0 graphs"),
        (model(field(5, tensor("w", FLOATS, 1, shape=field(1, 5)))), r"6 values for the shape \[5\]"),
        (model(field(5, tensor("w", FLOATS, 1) + field(14, 1))), "lies in another file"),
        (model(number(1 << 3) + number(3)), "a number stands where a message should"),
        (number(7 << 3 | 3), "unknown way 3"),
        (b"\xff" * 12, "too long"),
    ],
)
def test_what_is_no_model_is_one_line(content: bytes, why: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=why) as error:
        read(written(tmp_path, content))
    assert "model.onnx" in str(error.value) and "\n" not in str(error.value)


def test_a_file_cut_off_anywhere_is_one_line(tmp_path: Path) -> None:
    content = model(field(1, node("/a/MatMul", "MatMul", ["x", "w"])), field(5, tensor("w", FLOATS, 1)))
    for end in range(len(content) - 1):
        with pytest.raises(UserError):
            read(written(tmp_path, content[:end]))


def test_a_file_that_is_missing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read as an ONNX model"):
        read(tmp_path / "nowhere.onnx")
