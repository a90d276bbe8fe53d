"""Arrays come out of joblib files, and nothing in them runs. Oracle: joblib and scikit-learn, which wrote the files."""

import pickle
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.api import UserError
from bench.weights import files
from bench.weights.joblib_reader import attributes

joblib = pytest.importorskip("joblib")


@pytest.fixture(scope="module")
def fitted():
    """A small codebook as scikit-learn keeps it."""
    from sklearn.cluster import MiniBatchKMeans

    points = np.random.default_rng(0).standard_normal((600, 7)).astype("f4")
    return MiniBatchKMeans(20, random_state=np.random.RandomState(3), n_init="auto", batch_size=100).fit(points)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_reads_the_centroids_of_scikit_learn(tmp_path: Path, fitted, protocol: int, dtype: str) -> None:
    fitted.cluster_centers_ = fitted.cluster_centers_.astype(dtype)
    joblib.dump(fitted, tmp_path / "km.bin", protocol=protocol)
    found = attributes(tmp_path / "km.bin")
    assert np.array_equal(found["cluster_centers_"].numpy(), fitted.cluster_centers_)
    assert np.array_equal(found["_counts"].numpy(), fitted._counts)
    codebook = files.load_centroids(tmp_path / "km.bin", 20, 7)
    assert codebook.dtype == torch.float32 and np.array_equal(codebook.numpy(), fitted.cluster_centers_.astype("f4"))


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_reads_the_layout_of_older_joblib(tmp_path: Path, fitted, protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # before joblib 1.1, when the published codebooks were written, an array's bytes followed without filling
    from joblib.numpy_pickle import NumpyArrayWrapper

    plain = NumpyArrayWrapper.__init__

    def older(self, *arguments, **named) -> None:
        plain(self, *arguments, **named)
        del self.numpy_array_alignment_bytes

    monkeypatch.setattr(NumpyArrayWrapper, "__init__", older)
    monkeypatch.setattr(NumpyArrayWrapper, "safe_get_numpy_array_alignment_bytes", lambda self: None)
    joblib.dump(fitted, tmp_path / "km.bin", protocol=protocol)
    assert b"alignment" not in (tmp_path / "km.bin").read_bytes()
    assert np.array_equal(attributes(tmp_path / "km.bin")["cluster_centers_"].numpy(), fitted.cluster_centers_)


def test_columns_first_and_empty_arrays(tmp_path: Path, fitted) -> None:
    fitted.columns = np.asfortranarray(np.arange(24.0).reshape(2, 3, 4))
    fitted.empty = np.zeros((0, 5))
    joblib.dump(fitted, tmp_path / "km.bin")
    found = attributes(tmp_path / "km.bin")
    assert np.array_equal(found["columns"].numpy(), fitted.columns) and found["empty"].shape == (0, 5)


class Trap:
    """Runs when it is unpickled."""

    def __init__(self, touched: Path):
        self.touched = touched

    def __reduce__(self):
        return Path.touch, (self.touched,)


def test_nothing_in_the_file_runs(tmp_path: Path) -> None:
    joblib.dump(Trap(tmp_path / "touched"), tmp_path / "km.bin")
    with pytest.raises(UserError, match="lacks 'cluster_centers_'"):
        files.load_centroids(tmp_path / "km.bin", 20, 7)
    assert not (tmp_path / "touched").exists()
    joblib.load(tmp_path / "km.bin")
    assert (tmp_path / "touched").exists(), "the trap is none"


def test_what_is_no_codebook_is_refused_in_one_line(tmp_path: Path, fitted) -> None:
    joblib.dump(fitted, tmp_path / "good.bin")
    good = (tmp_path / "good.bin").read_bytes()
    cases = {"empty": b"", "text": b"hello\n", "cut": good[: len(good) // 2], "packed": zlib.compress(good), "stop": pickle.dumps(None)}
    for name, content in cases.items():
        (tmp_path / f"{name}.bin").write_bytes(content)
        with pytest.raises(UserError) as error:
            files.load_centroids(tmp_path / f"{name}.bin", 20, 7)
        assert "cannot be read as a codebook" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("seed", range(5))
def test_damage_never_ends_in_another_error(tmp_path: Path, fitted, seed: int) -> None:
    joblib.dump(fitted, tmp_path / "km.bin")
    content = bytearray((tmp_path / "km.bin").read_bytes())
    random = np.random.default_rng(seed)
    for _ in range(60):
        damaged = bytearray(content)
        for place in random.integers(0, len(content), 3):
            damaged[place] = random.integers(256)
        (tmp_path / "bad.bin").write_bytes(damaged)
        try:
            attributes(tmp_path / "bad.bin")
        except ValueError:
            pass


def test_other_forms_of_a_codebook(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    centroids = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    save_file({"centroids": centroids}, tmp_path / "c.safetensors")
    np.save(tmp_path / "c.npy", centroids.double().numpy())
    for name in ("c.safetensors", "c.npy"):
        assert torch.equal(files.load_centroids(tmp_path / name, 5, 3), centroids)
        with pytest.raises(UserError, match=r"is \[5, 3\], this variant's codebook is \[4, 3\]"):
            files.load_centroids(tmp_path / name, 4, 3)
    np.save(tmp_path / "o.npy", np.array([Trap(tmp_path / "touched")], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="cannot be read as a codebook"):
        files.load_centroids(tmp_path / "o.npy", 1, 1)
    assert not (tmp_path / "touched").exists()
