"""The arrays of a joblib file, without running it. A pickle is a program; here it is only read, and what it would build stays description.

joblib writes an object as a pickle in which each array is a NumpyArrayWrapper (shape, order, dtype), its bytes following at once. Published
k-means codebooks are such files of a scikit-learn object. No class is looked up and nothing is called: `pickletools` names the steps,
and each object becomes a `Thing` of name, arguments and state.
"""

from __future__ import annotations

import math
import os
import pickletools
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

DTYPES = {
    "f4": torch.float32,
    "f8": torch.float64,
    "i4": torch.int32,
    "i8": torch.int64,
    "u4": torch.int32,
    "u1": torch.uint8,
    "b1": torch.bool,
}
SIZES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
IGNORED = ("PROTO", "FRAME")
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
MARK = object()


@dataclass(eq=False)
class Thing:
    """What a pickle would have built: the name of a class or function, what it would have been called with, its state."""

    name: str
    arguments: tuple[object, ...] = ()
    state: dict[object, object] = field(default_factory=dict)


def attributes(path: Path) -> dict[str, Tensor]:
    """The arrays that the outermost object of a joblib file has as attributes, by name. Raises ValueError for any other file."""
    with path.open("rb") as file:
        try:
            top = Reader(file).read()
        except (ValueError, LookupError, TypeError, OverflowError, MemoryError, AssertionError) as error:  # what damage can lead to
            raise ValueError(f"not an uncompressed joblib file of arrays: {error}") from error
    if not isinstance(top, Thing):
        raise ValueError("not a joblib file of one object")
    return {key: value for key, value in top.state.items() if isinstance(key, str) and isinstance(value, Tensor)}


class Reader:
    """The stack and the memo of one pickle being read."""

    def __init__(self, file: BinaryIO):
        self.file, self.size = file, os.fstat(file.fileno()).st_size
        self.stack: list[object] = []
        self.memo: dict[int, object] = {}

    def read(self) -> object:
        """The description of what the file holds."""
        for opcode, argument, _ in pickletools.genops(self.file):  # reads one step at a time, so arrays between steps can be taken out
            if opcode.name == "STOP":
                return self.stack.pop()
            self.step(opcode.name, argument)
        raise ValueError("it ends early")

    def step(self, name: str, argument: object) -> None:
        stack = self.stack
        if name in IGNORED:
            return
        if name in CONSTANTS:
            stack.append(CONSTANTS[name])
        elif name in ("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[len(self.memo) if name == "MEMOIZE" else int(str(argument))] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memo[int(str(argument))])
        elif name == "MARK":
            stack.append(MARK)
        elif name in ("POP", "POP_MARK"):
            stack.pop() if name == "POP" else self.marked()
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            stack.append(Thing(str(argument).replace(" ", ".") if name == "GLOBAL" else ".".join(map(str, self.popped(2)))))
        elif name in ("REDUCE", "NEWOBJ", "NEWOBJ_EX", "BUILD"):
            self.build(name)
        elif argument is not None:
            stack.append(argument)  # a number or a text
        else:
            self.collect(name)

    def collect(self, name: str) -> None:
        """Tuples, lists, sets and dicts."""
        stack = self.stack
        if name.startswith("EMPTY_"):
            stack.append({"EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": list}[name]())
        elif name in SIZES:
            stack.append(tuple(self.popped(SIZES[name])))
        elif name in ("TUPLE", "LIST", "FROZENSET"):
            items = self.marked()
            stack.append(items if name == "LIST" else tuple(items))
        elif name in ("APPEND", "APPENDS", "ADDITEMS"):
            items = self.popped(1) if name == "APPEND" else self.marked()
            if isinstance(stack[-1], list):
                stack[-1].extend(items)
        elif name in ("SETITEM", "SETITEMS", "DICT"):
            items = self.popped(2) if name == "SETITEM" else self.marked()
            if name == "DICT":
                stack.append({})
            if isinstance(stack[-1], dict):
                stack[-1].update((key, value) for key, value in zip(items[::2], items[1::2], strict=True) if isinstance(key, Hashable))
        else:
            raise ValueError(f"a step {name} is not known here")

    def build(self, name: str) -> None:
        """Things: made by a call that is not done, or given a state."""
        if name == "BUILD":
            state, thing = self.stack.pop(), self.stack[-1]
            if isinstance(thing, Thing) and isinstance(state, dict):
                thing.state.update(state)
                if thing.name.endswith("joblib.numpy_pickle.NumpyArrayWrapper"):  # also as a part of old scikit-learn
                    self.stack[-1] = self.array(thing)
            return
        kind, *arguments = self.popped(3 if name == "NEWOBJ_EX" else 2)
        positional = arguments[0]
        self.stack.append(Thing(kind.name if isinstance(kind, Thing) else "", positional if isinstance(positional, tuple) else ()))

    def array(self, wrapper: Thing) -> Tensor:
        """The array whose bytes follow."""
        shape, dtype = wrapper.state["shape"], wrapper.state["dtype"]
        code = str(dtype.arguments[0]).lstrip("<|=") if isinstance(dtype, Thing) and dtype.arguments else ""
        if code not in DTYPES or not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
            raise ValueError(f"an array of type {code!r} cannot be read")
        if "numpy_array_alignment_bytes" in wrapper.state:  # newer files: a count of filling bytes, and these
            self.taken(self.taken(1)[0])
        content = self.taken(math.prod(shape) * DTYPES[code].itemsize)
        flat = torch.frombuffer(content, dtype=DTYPES[code]) if content else torch.zeros(0, dtype=DTYPES[code])
        return flat.reshape(shape[::-1]).permute(*range(len(shape))[::-1]) if wrapper.state.get("order") == "F" else flat.reshape(shape)

    def taken(self, count: int) -> bytearray:
        """The next bytes of the file, out of the pickle's sight."""
        if count > self.size - self.file.tell():
            raise ValueError("it ends within an array")
        return bytearray(self.file.read(count))

    def popped(self, count: int) -> list[object]:
        items = self.stack[-count:]
        if len(items) < count:
            raise ValueError("its stack is empty")
        del self.stack[-count:]
        return items

    def marked(self) -> list[object]:
        """All above the last mark, which goes, too."""
        at = max(i for i, item in enumerate(self.stack) if item is MARK)
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items
