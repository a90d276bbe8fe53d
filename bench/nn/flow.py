"""Networks through which a signal [B, C, T] flows in pieces where a CPU infers.

Each piece goes as far as it can before the next one starts: what one layer writes the next one finds in the cache, which is worth a
quarter of the time, and memory does not grow with the signal. A layer that hears the future gives what it can and keeps the rest of its
input for the next piece, so the sums are those of the whole signal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from torch import Tensor, nn

from bench.nn.onednn import WIDE, for_onednn, joined

CACHED = 100_000 if WIDE else 400_000  # floats of a piece: a core's second-level cache holds a few; without AVX-512 long ones gain more
LEAST = 128  # samples of a piece: more than the layers of a stage keep
WHOLE = 1 << 40  # samples of a piece: all that there are
A_CHANNEL = 2  # samples of a piece for each channel, at least: or the weights are read too often


@dataclass(frozen=True)
class Flow:
    """A signal that comes piece by piece: what layers kept of it, and whether this piece is its last. By default the piece is all of it."""

    kept: dict[nn.Module, Tensor] = field(default_factory=dict)
    last: bool = True

    def after(self, layer: nn.Module, x: Tensor, margin: int) -> Tensor:
        """x [B, C, n] behind what the layer kept, at the signal's start behind a margin of zeros; at its end another one follows."""
        zeros = x.new_zeros(1, 1, 1).expand(len(x), x.shape[1], margin)
        before = self.kept.pop(layer, zeros)
        return joined([before, x, zeros] if self.last else [before, x]) if margin or before.shape[-1] else x

    def keep(self, layer: nn.Module, x: Tensor) -> None:
        """For the next piece."""
        if not self.last:
            self.kept[layer] = x.clone()  # a view would keep the whole piece alive


def samples(width: int) -> int:
    """Length of a piece of that many channels: it fits the cache, unless the weights would be read too often."""
    return max(CACHED // width, LEAST, A_CHANNEL * width)


class Layers(nn.Sequential):
    """Layers one after the other, each told of the flow."""

    def forward(self, input: Tensor, flow: Flow | None = None) -> Tensor:
        for layer in self:
            input = layer(input, flow)
        return input


class Stages(Layers):
    """A network of (samples of a piece, part): on a CPU each piece of an item goes as far as it can before the next one starts.

    A part of WHOLE pieces, as a recurrent network, takes all items at once: at every step it reads all of its weights.
    """

    def __init__(self, *stages: tuple[int, nn.Module]):
        super().__init__(*(part for _, part in stages))
        self.sizes = [size for size, _ in stages]

    def forward(self, input: Tensor, flow: Flow | None = None) -> Tensor:
        if not for_onednn(input):
            return super().forward(input)
        for whole, stages in groupby(zip(self.sizes, self, strict=True), lambda stage: stage[0] == WHOLE):
            parts = list(stages)
            input = joined([_through(parts, items) for items in ([input] if whole else input.split(1))], 0)
        return input


def _through(stages: list[tuple[int, nn.Module]], x: Tensor) -> Tensor:
    pieces, kept = iter([x]), {}
    for size, part in stages:
        pieces = flowing(part, pieces, size, kept)
    return joined(list(pieces))


def flowing(part: nn.Module, pieces: Iterator[Tensor], size: int, kept: dict[nn.Module, Tensor]) -> Iterator[Tensor]:
    """What a part of a network makes of a signal that comes in pieces of any length: it takes `size` samples at a time, more at the end."""
    held: list[Tensor] = []
    for piece in pieces:
        held.append(piece)
        count = sum(x.shape[-1] for x in held) // size - 1  # one less than there are: no layer copes with a shorter end
        if count > 0:
            x = joined(held)
            yield from (part(x[..., i * size : (i + 1) * size], Flow(kept, last=False)) for i in range(count))
            held = [x[..., count * size :]]
    yield part(joined(held), Flow(kept))
