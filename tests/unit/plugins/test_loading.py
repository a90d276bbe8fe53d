"""A file of the user's own is loaded as a script would be, and its key covers all that it loads, wherever and whenever."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bench import registry
from bench.api import UserError
from bench.cli import main
from bench.data.manifests import open_data
from bench.engine.run import Options, identity
from bench.records.writer import key_of
from tests.conftest import ROOT
from tests.unit.plugins.test_boundary import written

EXAMPLE = Path(__file__).parents[2] / "examples" / "my_codec.py"


def key(path: Path) -> str:
    """The code that stands in a run's identity."""
    return registry.pinned(registry.variant(str(path))).code


def changes(path: Path, change: Callable[[], object]) -> bool:
    """Whether the key is another one after the change, and the same without any."""
    before = key(path)
    assert key(path) == before
    change()
    return key(path) != before


def test_a_dataclass_finds_its_module(tmp_path: Path) -> None:
    head = "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass Config:\n    levels: int = 16"
    assert registry.load_tokenizer(str(written(tmp_path, head=head))).spec.name == "toy"


def test_files_of_one_name_in_two_folders_import_their_own_neighbours_also_later(tmp_path: Path) -> None:
    paths = [written(tmp_path / x, head="import model", init="import late; self.x = model.X + late.X") for x in "ab"]
    for x in "ab":
        for name in ("model", "late"):
            (tmp_path / x / f"{name}.py").write_text(f"X = {x!r}")
    variants = [registry.variant(str(path)) for path in paths]
    loaded = [registry.load_tokenizer(variant) for variant in (*variants, variants[0])]
    assert [vars(tokenizer)["x"] for tokenizer in loaded] == ["aa", "bb", "aa"]
    assert str(tmp_path / "a") == sys.path[0] and str(tmp_path / "b") not in sys.path
    assert not list(tmp_path.rglob("__pycache__"))


def test_a_neighbour_that_changed_is_read_again(tmp_path: Path) -> None:
    path = written(tmp_path, head="from helper import SCALE", init="self.scale = SCALE")
    (tmp_path / "helper.py").write_text("SCALE = 1")
    assert vars(registry.load_tokenizer(str(path)))["scale"] == 1
    (tmp_path / "helper.py").write_text("SCALE = 2")
    assert vars(registry.load_tokenizer(str(path)))["scale"] == 2


def test_a_library_may_look_at_the_command_line_when_it_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "curious.py").write_text("import sys\nNAME = sys.argv[0]")
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    assert registry.load_tokenizer(str(written(tmp_path / "p", head="import curious")))


def test_the_key_of_a_file_alone_is_its_sha256(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert key(path) == registry.variant(str(path)).code


def test_the_key_covers_modules_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "__init__.py").write_text("from net.layers import X")
    (tmp_path / "net" / "layers.py").write_text("X = 1")
    path = written(tmp_path, init="from net import X")
    assert changes(path, lambda: (tmp_path / "net" / "layers.py").write_text("X = 2"))


READS = {
    "at import": {"head": "import pathlib; L = (pathlib.Path(__file__).parent / 'config.json').read_text()"},
    "when loaded": {"init": "import os; open(os.path.join(os.path.dirname(__file__), 'config.json')).read()"},
    "at the first call": {"encode": "import pathlib; (pathlib.Path(__file__).parent / 'config.json').read_bytes()"},
    "after a change of folder": {"head": "import os; os.chdir(os.path.dirname(__file__)); open('config.json').read()"},
    "by a library": {"head": "import numpy, os; numpy.loadtxt(os.path.join(os.path.dirname(__file__), 'config.json'))"},
}


@pytest.mark.parametrize("code", READS.values(), ids=READS)
def test_the_key_covers_files_that_are_read(tmp_path: Path, code: dict[str, str]) -> None:
    (tmp_path / "config.json").write_text("8")
    (tmp_path / "unread.json").write_text("8")
    path = written(tmp_path, **code)
    assert not changes(path, lambda: (tmp_path / "unread.json").write_text("9"))
    assert changes(path, lambda: (tmp_path / "config.json").write_text("9"))


def test_the_key_covers_weights_that_a_library_opens_without_pythons_knowledge(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "model.onnx").write_bytes(b"1")
    path = written(tmp_path, head="FOLDER, NAME = 'w', 'model.onnx'")
    assert changes(path, lambda: (tmp_path / "w" / "model.onnx").write_bytes(b"2"))


HELD = {
    "a module": "self.net = torch.nn.Linear(1, 1); torch.nn.init.constant_(self.net.weight, x); torch.nn.init.zeros_(self.net.bias)",
    "a module in a list": "n = torch.nn.Linear(1, 1, bias=False); torch.nn.init.constant_(n.weight, x); self.nets = [(n,)]",
    "a buffer": "self.net = torch.nn.Module(); self.net.register_buffer('b', torch.tensor(x), persistent=False)",
    "a tensor": "self.table = {'a': torch.tensor(x)}",
    "an array": "import numpy; self.table = numpy.array([x])",
    "a variable of the file": "globals()['TABLE'] = torch.tensor([x])",
    "a variable of the class": "C.table = torch.tensor([x])",
    "half precision": "self.table = torch.tensor([x], dtype=torch.bfloat16)",
    "a closure": "t = torch.tensor([x]); self.f = lambda: t",
}


@pytest.mark.parametrize("init", HELD.values(), ids=HELD)
def test_the_key_covers_numbers_that_come_from_anywhere(tmp_path: Path, init: str) -> None:
    np.savez(tmp_path / "far.npz", x=np.float32(1))
    load = f"import numpy; x = float(numpy.load({str(tmp_path / 'far.npz')!r})['x']); "
    path = written(tmp_path / "p", init=load + init)
    assert changes(path, lambda: np.savez(tmp_path / "far.npz", x=np.float32(2)))


def test_times_and_addresses_are_no_part_of_the_key(tmp_path: Path) -> None:
    path = written(tmp_path, init="import time; self.made, self.where, self.me = time.time(), __file__, [self]")
    assert not changes(path, lambda: None)


def test_the_same_content_elsewhere_has_the_same_key(tmp_path: Path) -> None:
    path = written(tmp_path / "a", head="from helper import X", init="self.w = torch.ones(3); open(__file__[:-4] + 'c.json').read()")
    (tmp_path / "a" / "helper.py").write_text("X = 1")
    (tmp_path / "a" / "c.json").write_text("{}")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert key(path) == key(tmp_path / "b" / "c.py")


def test_a_tokenizer_of_the_project_keeps_its_identity() -> None:
    variant = registry.variant("mulaw")
    assert registry.pinned(variant) is variant and variant.code == ""


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The codec that README shows, with weights beside it."""
    path = Path(shutil.copy(EXAMPLE, tmp_path))
    weights(tmp_path / "my_codec.safetensors", 1.0)
    return path


def weights(path: Path, scale: float) -> Path:
    """Sixteen levels from -scale to scale."""
    save_file({"levels": torch.linspace(-scale, scale, 16)}, path)
    return path


def test_the_example_is_the_one_in_the_readme() -> None:
    assert f"```python\n{EXAMPLE.read_text()}```" in (ROOT / "README.md").read_text()


def test_the_example_keeps_the_contract_and_is_at_most_twenty_lines(example: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert len([line for line in example.read_text().splitlines() if line.strip()]) <= 20
    assert main(["check", str(example)]) == 0
    out = capfd.readouterr().out
    assert "fail" not in out and "warn" not in out and "weights: sha256:" in out


def test_the_example_takes_other_weights_and_its_rows_are_theirs(example: Path, tmp_path: Path) -> None:
    data, suite = open_data("mini", 1), registry.load_suite("reconstruction")
    own = registry.variant(str(example))
    given = registry.with_weights(own, weights(tmp_path / "other.safetensors", 0.5))
    assert given.spec.weights != own.spec.weights and given.spec.weights.startswith("sha256:")
    first, second = (key_of(identity(v, suite, data, Options())) for v in (own, given))
    weights(tmp_path / "my_codec.safetensors", 0.25)
    third = key_of(identity(registry.variant(str(example)), suite, data, Options()))
    assert len({first, second, third}) == 3
    assert registry.load_tokenizer(given).spec == given.spec


def test_weights_that_are_not_beside_the_file_are_one_line(example: Path, tmp_path: Path) -> None:
    (tmp_path / "my_codec.safetensors").unlink()
    with pytest.raises(UserError, match=r"my_codec.py: its weights my_codec.safetensors are not at .*: put them there, or give --weights"):
        registry.load_tokenizer(str(example))


def test_a_file_without_a_checkpoint_says_how_to_take_weights(tmp_path: Path) -> None:
    variant = registry.variant(str(written(tmp_path)))
    with pytest.raises(UserError, match="give its Variant a Checkpoint"):
        registry.with_weights(variant, tmp_path / "w.pt")
