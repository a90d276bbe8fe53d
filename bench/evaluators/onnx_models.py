"""Networks in ONNX's form, run by onnxruntime on one thread of the CPU: as many run at once as there are worker processes."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from bench.api import UserError
from bench.evaluators.packages import ONNXRUNTIME

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


@lru_cache(maxsize=8)
def session(path: Path) -> InferenceSession:
    """The network of a file that was proven."""
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(f"{ONNXRUNTIME.needed} ({error}): {ONNXRUNTIME.install}") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors alone
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
