"""A training step of the language model beside one of torch's own layers, of the same shapes. Run with -m perf -s."""

import statistics
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.lm.coding import Training
from bench.lm.layouts import layout
from bench.lm.network import BODIES, HEAD, RANK
from bench.lm.streams import Alphabet, Stream
from bench.lm.training import Learner
from bench.lm.windows import Window

pytestmark = pytest.mark.perf
COLUMNS, SIZE, FRAMES, CLIPS, ROUNDS = 8, 1024, 100, 4, 7
SMALL = BODIES["small"]


def layers(width: int, count: int) -> nn.TransformerEncoder:
    """torch's own, with fused attention."""
    layer = nn.TransformerEncoderLayer(width, width // HEAD, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
    return nn.TransformerEncoder(layer, count, nn.LayerNorm(width), enable_nested_tensor=False)


class Plain(nn.Module):
    """The layout `depth` as one would write it from torch's layers."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(COLUMNS * SIZE + 1, RANK)
        self.into = nn.Linear(COLUMNS * RANK, SMALL.width)
        self.body, self.depth = layers(SMALL.width, SMALL.layers), layers(SMALL.depth_width, SMALL.depth_layers)
        self.down, self.lift = nn.Linear(SMALL.width, SMALL.depth_width), nn.Linear(RANK, SMALL.depth_width)
        self.heads = nn.ModuleList(nn.Sequential(nn.Linear(SMALL.depth_width, RANK), nn.Linear(RANK, SIZE)) for _ in range(COLUMNS))

    def forward(self, numbers: Tensor) -> Tensor:
        codes = self.embedding(numbers)
        frames = codes.shape[1] - 1
        mask = nn.Transformer.generate_square_subsequent_mask
        h = self.body(self.into(codes[:, :-1].flatten(2)), mask(frames), is_causal=True)
        x = self.down(h)[:, :, None] + F.pad(self.lift(codes[:, 1:, :-1]), (0, 0, 1, 0))
        x = self.depth(x.flatten(0, 1), mask(COLUMNS), is_causal=True)
        targets = (numbers[:, 1:] - 1).flatten(0, 1) % SIZE
        return torch.stack([F.cross_entropy(head(x[:, c]), targets[:, c]) for c, head in enumerate(self.heads)]).mean()


def test_a_step_takes_at_most_1_3_times_that_of_plain_torch() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    streams = {f"c{i}": Stream(rng.integers(SIZE, size=(FRAMES, COLUMNS)), FRAMES / 12.5) for i in range(100)}
    ids, columns = tuple(streams), tuple(range(COLUMNS))
    given = Alphabet((SIZE,) * COLUMNS, columns, columns)
    learner = Learner(Training(layout("depth", COLUMNS), given, streams, ids[:98], ids[98:99], ids[99:], 12.5, 0, 1000))
    batch = [Window(clip, 0, FRAMES, 0) for clip in ids[:CLIPS]]
    plain = Plain()
    optimiser = torch.optim.AdamW(plain.parameters(), fused=True)
    numbers = torch.from_numpy(np.stack([np.pad(learner.coder.numbers[clip], ((1, 0), (0, 0))) for clip in ids[:CLIPS]]))

    def theirs() -> None:
        optimiser.zero_grad()
        plain(numbers).backward()
        nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        optimiser.step()

    def ours() -> None:
        learner._learned(batch)

    def spent(step: Callable[[], None]) -> float:
        start = time.process_time()
        step()
        return time.process_time() - start

    for step in (ours, theirs):
        step()
    pairs = [(spent(ours), spent(theirs)) for _ in range(ROUNDS)]
    ratio = statistics.median(a / b for a, b in pairs)
    best = [1000 * min(times) for times in zip(*pairs, strict=True)]
    print(f"a step of {CLIPS} x {FRAMES} frames: {best[0]:.0f} ms, plain {best[1]:.0f} ms, ratio {ratio:.2f}")
    assert ratio <= 1.3
