"""bench doctor: what is installed here, what is ready, and the line that brings what is missing."""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands import arguments

if TYPE_CHECKING:
    from bench.commands.arguments import Verbs

EXAMPLES = """examples:
  bench doctor
  bench doctor --json > environment.json     to attach to a report of a bug"""
NAME = "audio-tokenizer-bench"
DEVELOPERS = ("test", "perf", "dev", "docs", "all")  # extras that no command asks for
Answers = dict[str, dict[str, str]]


def add(verbs: Verbs) -> None:
    """Its words."""
    verb = arguments.verb(verbs, "doctor", doctor, "report versions, device, extras, evaluators, weights and folders", EXAMPLES)
    verb.add_argument("--json", action="store_true", help="as JSON")


def doctor(options: argparse.Namespace) -> int:
    """bench doctor: exit code 1 where a package of the core is missing."""
    core = core_packages()
    missing = [name for name, version in core.items() if version == MISSING]
    found: Answers = {
        "versions": versions(core),
        "extras": extras(),
        "evaluators": evaluators(),
        "weights": weights(),
        "folders": folders(),
    }
    if "torch" not in missing:
        found["device"] = devices()
    if options.json:
        import json

        json.dump(found, sys.stdout, indent=1)
        print()
    else:
        for title, answers in found.items():
            print(title)
            width = max(map(len, answers), default=0)
            print(*(f"  {name:<{width}}  {answer}" for name, answer in answers.items()), sep="\n")
    return 1 if missing else 0


MISSING = "missing"


def requirements() -> list[str]:
    """The requirements of this project, those of extras ended by `; extra == "..."`, from the checkout or from what is installed."""
    project = Path(__file__).parents[2] / "pyproject.toml"
    if not project.is_file():
        return metadata.requires(NAME) or []
    import tomllib

    facts = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    optional = facts["optional-dependencies"].items()
    return [*facts["dependencies"], *(f'{word}; extra == "{extra}"' for extra, words in optional for word in words)]


def _version(requirement: str) -> tuple[str, str]:
    name = re.match(r"[\w.-]+", requirement)
    assert name is not None, requirement
    try:
        return name[0], metadata.version(name[0])
    except metadata.PackageNotFoundError:
        return name[0], MISSING


def core_packages() -> dict[str, str]:
    """Each package that everything needs, with its version."""
    return dict(_version(word) for word in requirements() if "extra ==" not in word)


def versions(core: Mapping[str, str]) -> dict[str, str]:
    """Of this project, Python, the system and the core."""
    lacking = [name for name, version in core.items() if version == MISSING]
    return {
        NAME: arguments.version(),
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "core": f"missing {', '.join(lacking)}: pip install {NAME}" if lacking else "every package is here",
        **{name: core[name] for name in ("torch", "numpy", "soundfile", "soxr", "pesq") if name in core},
    }


def extras() -> dict[str, str]:
    """Each extra: ready, or what is missing and the line that brings it."""
    packages: dict[str, dict[str, str]] = {}
    for word in requirements():
        if found := re.search(r"extra == ['\"]([\w-]+)['\"]", word):
            packages.setdefault(found[1], {}).update([_version(word)])
    said = {}
    for extra, needed in packages.items():
        lacking = [name for name, version in needed.items() if version == MISSING]
        if extra not in DEVELOPERS:
            said[extra] = f"missing {', '.join(lacking)}: pip install '{NAME}[{extra}]'" if lacking else "ready"
    return said


def evaluators() -> dict[str, str]:
    """The models that suites ask: package and weights."""
    from bench.evaluators import packages

    said = {}
    for suite, model in (("asr", ""), ("asr", "pocketsphinx"), ("speaker", ""), ("speaker", "wavlm-base-plus-sv"), ("quality", "")):
        package = packages.package(suite, model)
        assert package is not None, suite
        said[f"--suite {suite}" + (f" --{suite}-model {model}" if model else "")] = "ready" if package.here else package.missing
    whisper = "--suite asr"
    if said[whisper] == "ready" and not _whisper_is_here():
        said[whisper] = "weights base.en (0.1 GB) are downloaded at first use; --asr-model pocketsphinx needs none"
    return said


def _whisper_is_here() -> bool:
    from bench.weights.download import cache_folder

    own = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "whisper" / "base.en.pt"
    return own.is_file() or (cache_folder() / "whisper" / "base.en.pt").is_file()


def weights() -> dict[str, str]:
    """How many tokenizers can be used at once."""
    from bench.report import describe

    places: dict[str, int] = {}
    for variant in describe.variants():
        where = describe.place(variant)
        places[where] = places.get(where, 0) + 1
    ready = sum(count for where, count in places.items() if where in describe.READY)
    return {"tokenizers": f"{ready} ready ({', '.join(f'{count} {where}' for where, count in places.items())})", "list": LISTED}


LISTED = "bench list tokenizers --available"


def folders() -> dict[str, str]:
    """Where files are kept, and whether they can be written."""
    from bench.weights.download import cache_folder

    hub = os.environ.get("HF_HOME") or str(Path.home() / ".cache" / "huggingface")
    return dict(_folder(*pair) for pair in {"cache": cache_folder(), "hub cache": Path(hub), "results": Path("results").resolve()}.items())


def _folder(name: str, path: Path) -> tuple[str, str]:
    there = next(parent for parent in (path, *path.parents) if parent.exists())
    state = "" if os.access(there, os.W_OK) else ", cannot be written"
    return name, f"{path}{'' if path.exists() else ' (made when needed)'}{state}"


def devices() -> dict[str, str]:
    """Where models run."""
    return dict(_devices())


def _devices() -> Iterator[tuple[str, str]]:
    import torch

    from bench.records.devices import device_of
    from bench.records.hardware import cores, processor

    yield "--device auto", device_of("auto")
    yield "cpu", f"{processor('cpu')}, {cores()} cores"
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for number in range(count):
        yield f"cuda:{number}", torch.cuda.get_device_name(number)
    if not count:
        yield "cuda", "no NVIDIA GPU found" + ("" if torch.version.cuda else f"; torch {torch.__version__} is built without CUDA")
    if torch.backends.mps.is_available():
        yield "mps", "Apple GPU"
