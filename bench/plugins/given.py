"""What a tokenizer gave, in words and as the codes that the harness works on."""

from __future__ import annotations

from torch import Tensor

from bench.api import Codes, Spec


def codes_of(made: object, spec: Spec) -> Codes:
    """What encode gave: codes alone, or, where the spec names side codes, both. TypeError where it is neither."""
    if not spec.side:
        if not isinstance(made, Tensor):
            raise TypeError(f"encode must give codes, a torch.Tensor [B, K, F] of int64, and gave {described(made)}")
        return Codes(made)
    parts = made if isinstance(made, tuple) else ()
    if len(parts) != 2 or not all(isinstance(part, Tensor) for part in parts):
        wanted = "codes [B, K, F] and side codes [B, S, N], two torch.Tensors of int64"
        raise TypeError(f"encode must give {wanted}, as its spec names side codes, and gave {described(made)}")
    return Codes(*parts)


def described(thing: object) -> str:
    """What came in place of a tensor, in a few words."""
    if isinstance(thing, Tensor):
        return f"a tensor {list(thing.shape)} of {str(thing.dtype).removeprefix('torch.')}"
    if isinstance(thing, list | tuple):
        inside = ", ".join(described(item) for item in thing[:3]) + (", ..." if len(thing) > 3 else "")
        return f"a {type(thing).__name__} ({inside})"
    if type(thing).__module__ == "numpy" and hasattr(thing, "shape"):
        return f"a numpy array {list(getattr(thing, 'shape', ()))} (torch.from_numpy makes a tensor of it)"
    if thing is None or isinstance(thing, bool | int | float):
        return repr(thing)
    return f"a {type(thing).__name__}"
