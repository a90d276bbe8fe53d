"""NeMo's .nemo archives -> their configuration and tensors: nothing is written to disk, and nothing in the file is run.

Such a file is a tar archive with a configuration in YAML and a checkpoint of torch. Of the configuration the safe loader makes plain values
alone, of the checkpoint torch makes tensors alone. Everything else in the archive is left where it is.
"""

from __future__ import annotations

import lzma
import reprlib
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from bench.api import UserError
from bench.weights.files import UNREADABLE, as_state

CONFIGURATION, CHECKPOINT = "model_config.yaml", "model_weights.ckpt"
LARGEST = 2**20  # bytes of a configuration
SHORT = reprlib.Repr()
SHORT.maxlevel, SHORT.maxlist = 2, 12


def read(path: Path) -> tuple[dict[str, object], dict[str, Tensor]]:
    """The configuration as it stands in the archive, and its tensors by name, as float32. UserError where it is no such archive."""
    import yaml

    try:
        with tarfile.open(path) as archive:
            text = _member(archive, CONFIGURATION, LARGEST).read().decode()
            configuration = yaml.safe_load(text)
            state = torch.load(_member(archive, CHECKPOINT), map_location="cpu", weights_only=True)
    except (*UNREADABLE, tarfile.TarError, yaml.YAMLError, lzma.LZMAError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        if isinstance(error, tarfile.ReadError):  # whose words are long
            why = "it is cut off" if "end of data" in why else "it is no tar archive"
        raise UserError(f"{path} cannot be read as a .nemo archive ({why}): give the file of the official repository") from error
    if not isinstance(configuration, dict):
        raise UserError(f"{path}: its {CONFIGURATION} holds no names with values")
    return configuration, as_state(state, path)


def _member(archive: tarfile.TarFile, name: str, largest: int | None = None) -> IO[bytes]:
    """The one regular file of that name at the top of the archive."""
    found = [member for member in archive.getmembers() if member.name.removeprefix("./") == name]
    if len(found) != 1 or not found[0].isreg():
        raise ValueError(f"it has {len(found)} files {name}" if len(found) != 1 else f"its {name} is no regular file")
    if largest is not None and found[0].size > largest:
        raise ValueError(f"its {name} has {found[0].size} bytes, more than {largest}")
    content = archive.extractfile(found[0])
    assert content is not None  # of a regular file
    return content


def different(part: object, expected: Mapping[str, object], defaults: Mapping[str, object]) -> list[str]:
    """What a part of a configuration says otherwise than expected, a line each; `defaults`: of names that it leaves out."""
    given = part if isinstance(part, dict) else {}
    pairs = ((name, given.get(name, defaults.get(name)), value) for name, value in expected.items())
    return [f"{name} is {_short(found)}, not {value}" for name, found, value in pairs if found != value]


def _short(found: object) -> str:
    """Of lists a few values: aliases of YAML can make some that no memory holds the text of."""
    return found if isinstance(found, str) else SHORT.repr(found)
