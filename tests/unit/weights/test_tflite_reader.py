"""TensorFlow Lite files are read without running them, and a broken one ends in one line."""

from pathlib import Path

import numpy as np
import pytest

from bench.api import UserError
from bench.weights import tflite_reader

ENCODER = "soundstream_encoder.tflite"


@pytest.fixture
def encoder(real_data: Path) -> Path:
    path = real_data / "lyra" / ENCODER
    if not path.is_file():
        pytest.skip(f"no {path}")
    return path


def test_tensors_are_those_that_the_official_reader_sees(encoder: Path) -> None:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(str(encoder))
    interpreter.allocate_tensors()
    known = {t["name"]: t for t in interpreter.get_tensor_details()}
    stored = {t.name: t for o in tflite_reader.read(encoder)[0] for t in o.inputs if t is not None and t.data is not None}
    assert len(stored) > 60
    for name, tensor in stored.items():
        facts = known[name]["quantization_parameters"]
        assert np.array_equal(tensor.scale, facts["scales"]) and np.array_equal(tensor.zero, facts["zero_points"])
        if tensor.data is not None and tensor.data.ndim == 4:
            assert np.array_equal(tensor.data, interpreter.get_tensor(known[name]["index"]))


@pytest.mark.parametrize("damage", ["cut", "empty", "text"])
def test_a_broken_file_is_refused_in_one_line(encoder: Path, tmp_path: Path, damage: str) -> None:
    content = bytearray(encoder.read_bytes())
    made = {"cut": content[:2000], "empty": b"", "text": b"not a model"}
    path = tmp_path / "broken.tflite"
    path.write_bytes(made[damage])
    with pytest.raises(UserError, match="broken.tflite cannot be read as a TensorFlow Lite model"):
        tflite_reader.read(path)


def test_random_damage_never_ends_in_another_error(encoder: Path, tmp_path: Path) -> None:
    content, generator = encoder.read_bytes(), np.random.default_rng(0)
    path = tmp_path / "damaged.tflite"
    refused = 0
    for _ in range(200):
        damaged = bytearray(content)
        start = max(0, len(content) - 60_000)  # tables and names, not weights
        for place in generator.integers(start if generator.random() < 0.5 else 0, len(content), 40):
            damaged[place] = generator.integers(256)
        damaged[: int(generator.integers(8, 400))] = damaged[: int(generator.integers(8, 400))]
        path.write_bytes(damaged)
        try:
            tflite_reader.read(path)
        except UserError:
            refused += 1
    assert refused > 20
