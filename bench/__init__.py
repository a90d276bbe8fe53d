"""Audio tokenizer benchmark: a registry of tokenizers is run against suites; every suite yields rows; rows become tables.

    import bench
    results = bench.evaluate(["mimi", "opus@12kbps"], ["reconstruction"], limit=12)
    results.summary()        # a DataFrame: tokenizer, domain, metric, mean, low, high, n, ...

Nothing heavy is imported until one of these names is used.
"""

from __future__ import annotations

from importlib import import_module as _import_module
from pathlib import Path as _Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.python.ablation import ablate as ablate
    from bench.python.any_rate import load_tokenizer as load_tokenizer
    from bench.python.evaluate import evaluate as evaluate
    from bench.python.evaluate import score as score
    from bench.python.results import Results as Results
    from bench.python.results import load_results as load_results
    from bench.python.token_streams import detokenize as detokenize
    from bench.python.token_streams import load_tokens as load_tokens
    from bench.python.token_streams import tokenize as tokenize

    __version__: str

_here = _Path(__file__).resolve().parent
# `tokenizers` and `tasks` are symlinks to the rooms at the top; where a checkout could not make links, look one folder up.
if not (_here / "tokenizers").is_dir() and (_here.parent / "tokenizers").is_dir():
    __path__.append(str(_here.parent))

_LAZY = {
    **{name: "bench.python.evaluate" for name in ("evaluate", "score")},
    **{name: "bench.python.results" for name in ("Results", "load_results")},
    **{name: "bench.python.token_streams" for name in ("tokenize", "detokenize", "load_tokens")},
    "ablate": "bench.python.ablation",
    "load_tokenizer": "bench.python.any_rate",
}
__all__ = ["Results", "ablate", "detokenize", "evaluate", "load_results", "load_tokenizer", "load_tokens", "score", "tokenize"]


def __getattr__(name: str) -> object:
    if name == "__version__":
        return _import_module("bench.commands.arguments").version()
    if name in _LAZY:
        return getattr(_import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'bench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY, "__version__"])
