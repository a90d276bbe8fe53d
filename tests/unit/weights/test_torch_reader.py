"""What torch.save wrote comes out of its files, in both layouts, and nothing in them runs. Oracle: torch.load."""

import pickle
import zipfile
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bench.weights.joblib_reader import Thing
from bench.weights.torch_reader import read

LAYOUTS = [pytest.param(True, id="zip"), pytest.param(False, id="in a row")]


class Trap:
    """Runs when it is unpickled."""

    def __init__(self, touched: Path):
        self.touched = touched

    def __reduce__(self):
        return Path.touch, (self.touched,)


def everything(tmp_path: Path) -> dict[str, object]:
    torch.manual_seed(0)
    base = torch.randn(6, 5)
    tensors: dict[str, Tensor] = {
        "base": base,
        "turned": base.T,
        "cut": base[2:4, 1:],
        "none": torch.zeros(0, 3),
        "scalar": torch.tensor(4.0),
    }
    for dtype in (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool):
        tensors[str(dtype)] = torch.tensor([[0, 1, 1], [1, 0, 7]]).to(dtype)
    layer = nn.Linear(3, 2)
    state = OrderedDict(tensors)
    return {
        "model": state,
        "module": layer.state_dict(),
        "parameter": nn.Parameter(torch.ones(2)),
        "args": Namespace(activation="gelu", sizes=[1, (2, 0.5)], flag=True, nothing=None),
        "trap": Trap(tmp_path / "touched"),
        "steps": 10**12,
    }


@pytest.mark.parametrize("zipped", LAYOUTS)
def test_reads_what_torch_saved(tmp_path: Path, zipped: bool) -> None:
    saved = everything(tmp_path)
    torch.save(saved, tmp_path / "file.pt", _use_new_zipfile_serialization=zipped)
    found = read(tmp_path / "file.pt")
    assert not (tmp_path / "touched").exists()
    assert isinstance(found, dict) and found.keys() == saved.keys() and found["steps"] == 10**12
    for name in ("model", "module"):
        given = saved[name]
        assert isinstance(given, dict) and list(found[name]) == list(given)
        for key, value in given.items():
            assert found[name][key].dtype == value.dtype and torch.equal(found[name][key], value), key
    assert torch.equal(found["parameter"], torch.ones(2))
    args = found["args"]
    assert isinstance(args, Thing) and args.name == "argparse.Namespace"
    assert args.state == {"activation": "gelu", "sizes": [1, (2, 0.5)], "flag": True, "nothing": None}
    torch.save(saved["trap"], tmp_path / "trap.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(pickle.UnpicklingError, match="getattr|pathlib"):  # the trap is one
        torch.load(tmp_path / "trap.pt", weights_only=True)


@pytest.mark.parametrize("zipped", LAYOUTS)
def test_damage_is_a_value_error(tmp_path: Path, zipped: bool) -> None:
    torch.save({"model": {"weight": torch.arange(100.0)}}, tmp_path / "file.pt", _use_new_zipfile_serialization=zipped)
    whole = (tmp_path / "file.pt").read_bytes()
    for cut in range(0, len(whole) - 1, 37):
        (tmp_path / "cut.pt").write_bytes(whole[:cut])
        with pytest.raises(ValueError, match="not a file of torch"):
            read(tmp_path / "cut.pt")
    (tmp_path / "text.pt").write_text("nothing of the kind")
    with pytest.raises(ValueError, match="not a file of torch"):
        read(tmp_path / "text.pt")


def test_a_tensor_that_reaches_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(4)}, tmp_path / "file.pt", _use_new_zipfile_serialization=False)
    whole = (tmp_path / "file.pt").read_bytes()
    assert whole.count(b"K\x04\x85") == 1  # its size, (4,)
    (tmp_path / "file.pt").write_bytes(whole.replace(b"K\x04\x85", b"K\x05\x85"))
    with pytest.raises(ValueError, match="not a file of torch"):
        read(tmp_path / "file.pt")


def test_a_zip_that_is_damaged_anywhere_or_compressed_is_a_value_error(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(4)}, tmp_path / "file.pt")
    whole = (tmp_path / "file.pt").read_bytes()
    start = whole.index(b"PK\x01\x02")  # of the directory
    (tmp_path / "bad.pt").write_bytes(whole[: start + 20] + bytes([255] * 8) + whole[start + 28 :])  # sizes of the first entry
    with pytest.raises(ValueError, match="not a file of torch"):
        read(tmp_path / "bad.pt")
    with zipfile.ZipFile(tmp_path / "file.pt") as old, zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(ValueError, match="it is compressed"):
        read(tmp_path / "packed.pt")
    with zipfile.ZipFile(tmp_path / "other.pt", "w") as new:
        new.writestr("x", "y")
    with pytest.raises(ValueError, match="it has 0 files data.pkl"):
        read(tmp_path / "other.pt")
