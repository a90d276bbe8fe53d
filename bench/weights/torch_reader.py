"""What a file of torch.save holds, without running it: in the layout of before 2020, several pickles in a row, and in the zip of today.

`torch.load(weights_only=True)` refuses a file that has anything beside tensors, as training programs' options and meters. Here no class is
looked up and nothing is called: tensors become tensors, containers containers, and every other object a `Thing` of name, arguments, state.
"""

from __future__ import annotations

import io
import pickletools
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from bench.weights.joblib_reader import Reader, Thing

MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of the older layout
DTYPES = {
    "torch.FloatStorage": torch.float32,
    "torch.DoubleStorage": torch.float64,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}
STUMBLES = (
    *(ValueError, LookupError, TypeError, OverflowError, MemoryError, AssertionError, RuntimeError, EOFError),
    *(struct.error, zipfile.BadZipFile, zlib.error),
)
Storages = dict[str, Tensor]
"""The values of each storage [n], by its key in the file."""


def read(path: Path) -> object:
    """What was saved. Raises ValueError for any other file."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return _zipped(archive)
        with path.open("rb") as file:
            return _in_a_row(file, path.stat().st_size)
    except STUMBLES as error:  # what damage can lead to; a LookupError names but a number, an EOFError nothing
        why = "it is damaged" if isinstance(error, LookupError | EOFError) else error
        raise ValueError(f"not a file of torch.save: {why}") from error


def _zipped(archive: zipfile.ZipFile) -> object:
    """The layout of today: one pickle, and a file for each storage."""
    names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(names) != 1:
        raise ValueError(f"it has {len(names)} files data.pkl")
    if any(item.compress_type != zipfile.ZIP_STORED for item in archive.infolist()):  # so nothing grows beyond the size of the file
        raise ValueError("it is compressed, which torch.save never does")
    (name,) = names
    folder = name.removesuffix("data.pkl")
    if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
        raise ValueError("its numbers begin with the highest byte")

    def filled(key: str, storage: Tensor) -> None:
        _fill(storage, archive.read(f"{folder}data/{key}"))

    return TensorReader(io.BytesIO(archive.read(name)), sum(item.file_size for item in archive.infolist()), filled).read()


def _in_a_row(file: BinaryIO, size: int) -> object:
    """The older layout: magic number, version, machine, object and the storages' keys are a pickle each, and the storages' bytes follow."""
    storages: Storages = {}
    if TensorReader(file, size).read() != MAGIC:
        raise ValueError("it does not begin as such a file")
    TensorReader(file, size).read()
    machine = TensorReader(file, size).read()
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise ValueError("its numbers begin with the highest byte")
    found = TensorReader(file, size, storages.__setitem__).read()
    keys = TensorReader(file, size).read()
    if not isinstance(keys, list) or set(map(str, keys)) != storages.keys():
        raise ValueError("its storages are not those that it names")
    for key in keys:
        storage = storages[str(key)]
        (count,) = struct.unpack("<q", file.read(8))
        if count != storage.numel():
            raise ValueError(f"storage {key} has {count} values, {storage.numel()} were announced")
        _fill(storage, file.read(count * storage.element_size()))
    return found


def _fill(storage: Tensor, content: bytes) -> None:
    if len(content) != storage.numel() * storage.element_size():
        raise ValueError("it ends within a storage")
    if content:
        storage.copy_(torch.frombuffer(bytearray(content), dtype=storage.dtype))


class TensorReader(Reader):
    """One pickle of such a file; `found` is told every storage, by its key, when it is first named, and fills it then or later."""

    def __init__(self, file: BinaryIO, size: int, found: Callable[[str, Tensor], None] | None = None):
        self.file, self.size, self.found = file, size, found
        self.stack: list[object] = []
        self.memo: dict[int, object] = {}
        self.storages: Storages = {}

    def read(self) -> object:
        """The description of what the pickle holds."""
        for opcode, argument, _ in pickletools.genops(self.file):
            if opcode.name == "STOP":
                return self.stack.pop()
            self.step(opcode.name, argument)
        raise ValueError("it ends early")

    def step(self, name: str, argument: object) -> None:
        if name == "BINPERSID":
            self.stack.append(self.storage(self.stack.pop()))
        else:
            super().step(name, argument)

    def build(self, name: str) -> None:
        """Things as in any pickle; calls that stand for a tensor or an ordered dict give these."""
        super().build(name)
        top = self.stack[-1]
        if name != "REDUCE" or not isinstance(top, Thing):
            return
        if top.name == "collections.OrderedDict" and not top.arguments:
            self.stack[-1] = {}
        elif top.name == "torch._utils._rebuild_tensor_v2":
            self.stack[-1] = self.tensor(*top.arguments[:4])
        elif top.name == "torch._utils._rebuild_parameter":
            self.stack[-1] = top.arguments[0]

    def tensor(self, storage: object, offset: object, size: object, stride: object) -> Tensor:
        """A view of a storage; a RuntimeError where it would reach beyond it."""
        if not isinstance(storage, Tensor) or not isinstance(offset, int) or not isinstance(size, tuple) or not isinstance(stride, tuple):
            raise ValueError("a tensor is described as none is")
        return storage.as_strided(size, stride, offset)

    def storage(self, told: object) -> Tensor:
        """The storage of a persistent id: ("storage", its class, key, device, values, ...)."""
        if not isinstance(told, tuple) or len(told) < 5 or told[0] != "storage" or self.found is None:
            raise ValueError("it refers to something that is no storage")
        kind, key, count = told[1], str(told[2]), told[4]
        if key not in self.storages:
            dtype = DTYPES.get(kind.name) if isinstance(kind, Thing) else None
            if dtype is None or not isinstance(count, int) or not 0 <= count * dtype.itemsize <= self.size:
                raise ValueError(f"storage {key} cannot be read")
            self.storages[key] = torch.zeros(count, dtype=dtype)
            self.found(key, self.storages[key])
        return self.storages[key]
