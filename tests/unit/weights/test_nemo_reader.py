"""bench.weights.nemo_reader: configuration and tensors as they lie in an archive, and one line about what is no such archive."""

from __future__ import annotations

import io
import pickle
import tarfile
from pathlib import Path

import pytest
import torch

from bench.api import UserError
from bench.weights.nemo_reader import LARGEST, different, read

TEXT = b"sample_rate: 22050\naudio_encoder:\n  base_channels: 24\n  down_sample_rates: [2, 3]\n"


def tensors(content: object = None) -> bytes:
    stream = io.BytesIO()
    torch.save({"a.weight": torch.arange(3).half(), "n": torch.tensor(7)} if content is None else content, stream)
    return stream.getvalue()


def archive(folder: Path, *members: tuple[str, bytes], mode: str = "w") -> Path:
    path = folder / "codec.nemo"
    with tarfile.open(path, mode) as packed:  # pyright: ignore[reportCallIssue, reportArgumentType]
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("begin", ["", "./"])
def test_configuration_and_tensors_are_read(mode: str, begin: str, tmp_path: Path) -> None:
    path = archive(
        tmp_path,
        (f"{begin}model_config.yaml", TEXT),
        (f"{begin}model_weights.ckpt", tensors()),
        ("../../other.txt", b"left where it is"),
        mode=mode,
    )
    configuration, state = read(path)
    assert configuration == {"sample_rate": 22050, "audio_encoder": {"base_channels": 24, "down_sample_rates": [2, 3]}}
    assert state["a.weight"].tolist() == [0, 1, 2] and state["a.weight"].dtype == torch.float32 and state["n"].dtype == torch.int64
    assert list(tmp_path.iterdir()) == [path]


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("run",)


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ((("model_config.yaml", TEXT),), "it has 0 files model_weights.ckpt"),
        ((("model_weights.ckpt", tensors()),), "it has 0 files model_config.yaml"),
        ((("model_config.yaml", TEXT),) * 2 + (("model_weights.ckpt", tensors()),), "it has 2 files model_config.yaml"),
        ((("sub/model_config.yaml", TEXT), ("model_weights.ckpt", tensors())), "it has 0 files model_config.yaml"),
        ((("model_config.yaml", b"#" * (LARGEST + 1)), ("model_weights.ckpt", tensors())), "has 1048577 bytes, more than 1048576"),
        ((("model_config.yaml", b"a: [1"), ("model_weights.ckpt", tensors())), "cannot be read as a .nemo archive"),
        (
            (("model_config.yaml", b"!!python/object/apply:print [run]"), ("model_weights.ckpt", tensors())),
            "could not determine a constructor",
        ),
        ((("model_config.yaml", TEXT), ("model_weights.ckpt", b"no pickle")), "cannot be read as a .nemo archive"),
        ((("model_config.yaml", TEXT), ("model_weights.ckpt", pickle.dumps({"a": Evil()}))), "cannot be read as a .nemo archive"),
        ((("model_config.yaml", b"- 1"), ("model_weights.ckpt", tensors())), "holds no names with values"),
        ((("model_config.yaml", TEXT), ("model_weights.ckpt", tensors({"a": 3}))), "something else than tensors by name"),
    ],
)
def test_what_is_no_such_archive_is_refused_and_nothing_in_it_runs(members, why: str, tmp_path: Path, capsys) -> None:
    with pytest.raises(UserError, match=why) as error:
        read(archive(tmp_path, *members))
    assert "\n" not in str(error.value) and capsys.readouterr().out == ""


def test_a_link_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "codec.nemo"
    with tarfile.open(path, "w") as packed:
        link = tarfile.TarInfo("model_config.yaml")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        packed.addfile(link)
    with pytest.raises(UserError, match="is no regular file"):
        read(path)
    path.write_bytes(b"no archive at all")
    with pytest.raises(UserError, match="cannot be read as a .nemo archive"):
        read(path)


def test_what_a_configuration_says_otherwise_is_named() -> None:
    expected = {"kernels": [3, 7], "width": 24, "mode": "zeros"}
    assert different({"width": 24, "mode": "zeros", "more": 1}, expected, {"kernels": [3, 7]}) == []
    assert different({"width": 48}, expected, {"kernels": [3]}) == [
        "kernels is [3], not [3, 7]",
        "width is 48, not 24",
        "mode is None, not zeros",
    ]
    assert different(None, {"width": 24}, {}) == ["width is None, not 24"]


def test_an_archive_that_is_cut_off_or_damaged_is_said_to_be_so(tmp_path: Path) -> None:
    members = ("model_config.yaml", TEXT), ("model_weights.ckpt", tensors({"a": torch.arange(3000.0)}))
    path = archive(tmp_path, *members)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(UserError, match="it is cut off"):
        read(path)
    path = archive(tmp_path, *members, mode="w:xz")
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 255
    path.write_bytes(whole)
    with pytest.raises(UserError, match="cannot be read as a .nemo archive"):
        read(path)


def test_a_configuration_of_lists_of_lists_does_not_fill_the_message() -> None:
    nested: object = "x"
    for _ in range(6):
        nested = [nested] * 10  # as a few aliases of YAML make it
    (line,) = different({"width": nested}, {"width": 24}, {})
    assert len(line) < 1000 and line.startswith("width is [[[")
