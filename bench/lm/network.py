"""The one model of every tokenizer: a causal transformer over steps and, where a step's codes come one by one, a small one over its codes.

Numbers of codes are [B, F + 1, C] int64, as a Vocabulary gives them: frame 0 is what came before the window (0: nothing), frames 1..F are
predicted. Tables of embeddings have rank RANK, so that the size of a codebook hardly changes that of the model. The tables of answers begin
at zero and their biases at how often each code came: before the first step of training the model is all but the zero-order one.

Codes repeat themselves from frame to frame, in pauses and where a tokenizer is fast. So an embedded code says whether it is that of the
frame before, too, and an answer is a mixture: with a share that the model gives, the code of the frame before (a pointer, as that of See
et al. 2017, arxiv.org/abs/1704.04368), else one of the table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.lm.layouts import Layout

RANK = 64  # of tables; the width of the transformer over the codes of a step, too
HEAD = 32  # dimensions of an attention head
PERIOD = 10_000.0  # of the slowest rotation, in half turns of the fastest, which tells even distances from odd ones
SELDOM, STEEP = -0.5, 10.0  # log odds of a pointer: before training, in units of so many, as they have a long way to go


@dataclass(frozen=True)
class Body:
    """Sizes of the model."""

    width: int
    layers: int
    depth_width: int
    depth_layers: int


BODIES = {"small": Body(128, 3, 64, 1), "large": Body(512, 8, 256, 2)}


def rotations(times: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines [T, size] for heads of that size at times [T] (rotary embedding, arxiv.org/abs/2104.09864)."""
    rates = math.pi * PERIOD ** (-torch.arange(0, size, 2, device=times.device) / size)
    angles = (times[:, None] * rates).repeat(1, 2)
    return angles.cos(), angles.sin()


def pointed(log_p: Tensor, odds: Tensor, there: Tensor, hit: Tensor) -> Tensor:
    """log p of a mixture: where `there`, with log odds `odds` the code that is pointed at, which is the true one where `hit`."""
    rest = log_p + torch.where(there, F.logsigmoid(-odds), 0.0)
    return torch.where(hit, torch.logaddexp(rest, F.logsigmoid(odds)), rest)


def rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """x [B, H, T, d] turned, the first half of a head with the second."""
    a, b = x.chunk(2, -1)
    return x * turn[0] + torch.cat((-b, a), -1) * turn[1]


class Block(nn.Module):
    """Causal attention and a two-layer network, each on normalised input and added to it: [B, T, D] -> the same."""

    def __init__(self, width: int, dropout: float = 0.0):
        super().__init__()
        self.heads, self.dropout = width // HEAD, dropout
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor] | None) -> Tensor:
        q, k, v = self.qkv(self.before(x)).unflatten(-1, (3, self.heads, HEAD)).permute(2, 0, 3, 1, 4)
        if turn is not None:
            q, k = rotate(q, turn), rotate(k, turn)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self._dropped(self.out(y.transpose(1, 2).flatten(2)))
        return x + self._dropped(self.down(F.gelu(self.up(self.between(x)))))

    def _dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout) if self.dropout and self.training else x


class Transformer(nn.Module):
    """[B, T, D] -> [B, T, D]; position t sees those up to t."""

    def __init__(self, width: int, layers: int, dropout: float = 0.0):
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, times: Tensor | None = None) -> Tensor:
        """`times` [T]: of the positions; None: they have embeddings of their own."""
        turn = None if times is None else rotations(times, HEAD)
        for block in self.blocks:
            x = block(x, turn)
        return self.norm(x)


class LanguageModel(nn.Module):
    """log p of every code of a window, given what its layout lets it see."""

    def __init__(self, layout: Layout, body: Body, tables: Sequence[int], priors: Sequence[Tensor], dropout: float = 0.0):
        """`tables` [C]: where the codes of a column are; `priors`: of each table, log p [n] of its codes; `dropout`: in training."""
        super().__init__()
        self.layout, self.tables = layout, tuple(tables)
        starts = [1]
        for prior in priors:
            starts.append(starts[-1] + len(prior))
        self.spans = [slice(starts[i], starts[i + 1]) for i in range(len(priors))]
        columns, width = layout.columns, body.width
        self.embedding = nn.Embedding(starts[-1], RANK, padding_idx=0)
        self.same = nn.Parameter(torch.randn(columns, RANK))  # added to the embedding of a code that is the one of the frame before
        self.into = nn.Parameter(torch.randn(columns, RANK, width) / (RANK * columns) ** 0.5)
        if layout.kind != "frames":
            self.place = nn.Parameter(torch.zeros(columns, width))  # which column is next; in stages, which stage
        self.start = nn.Parameter(torch.zeros(width))
        self.transformer = Transformer(width, body.layers, dropout)
        inner = layout.one_by_one and layout.kind != "flattened"
        out = body.depth_width if inner else width
        if inner:
            self.down = nn.Linear(width, out)
            self.lift = nn.Linear(RANK, out, bias=False)
            self.column = nn.Parameter(0.02 * torch.randn(columns, out))
            self.depth = Transformer(out, body.depth_layers, dropout)
        self.answer = nn.Parameter(torch.randn(columns, out, RANK) / out**0.5)
        self.weight = nn.Parameter(torch.zeros(starts[-1] - 1, RANK))
        self.bias = nn.ParameterList(torch.as_tensor(priors[table]).float().clone() for table in self.tables)
        self.again, self.odds = nn.Parameter(torch.zeros(columns, out)), nn.Parameter(torch.full((columns,), SELDOM))

    def forward(self, numbers: Tensor, where: Tensor | None = None) -> Tensor:
        """numbers [B, F + 1, C] -> log p [B, F, C] of frames 1..F; of a code without number, 0, it means nothing.

        `where` [n]: of these frames of the batch alone, counted row by row -> [n, C].
        """
        hidden = self.hidden(self.embedded(numbers), where)
        now, before = (part if where is None else part.flatten(0, 1)[where] for part in (numbers[:, 1:], numbers[:, :-1]))
        return self.answers(hidden, now, before)

    def embedded(self, numbers: Tensor) -> Tensor:
        """numbers [B, F + 1, C] -> [B, F + 1, C, RANK]."""
        same = F.pad((numbers[:, 1:] == numbers[:, :-1]) & (numbers[:, 1:] > 0), (0, 0, 1, 0))
        return self.embedding(numbers) + same[..., None] * self.same

    def answers(self, hidden: Tensor, now: Tensor, before: Tensor) -> Tensor:
        """log p [..., C] of the codes `now` from hidden [..., C, D]; `before`: those that are pointed at."""
        asked, found = torch.einsum("...cw,cwr->...cr", hidden, self.answer), []
        weights = self.weight.split([span.stop - span.start for span in self.spans])  # a slice's gradient would be as large as all
        for c, (table, own) in enumerate(zip(self.tables, asked.unbind(-2), strict=True)):
            span = self.spans[table]
            logits = F.linear(own, weights[table], self.bias[c])
            wanted = (now[..., c] - span.start).clamp_min(0)
            found.append(-F.cross_entropy(logits.flatten(0, -2), wanted.flatten(), reduction="none").view_as(wanted))
        there = before > 0
        return pointed(torch.stack(found, -1), (hidden * self.again).sum(-1) + STEEP * self.odds, there, there & (now == before))

    def hidden(self, codes: Tensor, where: Tensor | None = None) -> Tensor:
        """Embedded codes [B, F + 1, C, RANK] -> [B, F, C, D], from which each code of frames 1..F is predicted; `where`: -> [n, C, D]."""
        if self.layout.kind == "frames" and self.layout.one_by_one and not max(self.layout.delays):
            h, now = self.read(codes), codes[:, 1:]
            if where is not None:  # a step's codes see each other and its own h alone
                h, now = h.flatten(0, 1)[where], now.flatten(0, 1)[where]
            return self.within(h, now, slice(None))
        found = {"frames": self._frames, "flattened": self._flattened, "stages": self._stages}[self.layout.kind](codes)
        return found if where is None else found.flatten(0, 1)[where]

    def read(self, steps: Tensor) -> Tensor:
        """Embedded codes of steps [B, T + 1, C, RANK] -> [B, T, W]: what is known of each step but the first, from those before it."""
        x = torch.einsum("bfcr,crw->bfw", steps[:, :-1], self.into)
        return self._read(x, torch.arange(x.shape[1], device=x.device))

    def _read(self, x: Tensor, times: Tensor) -> Tensor:
        return self.transformer(x + self.start, times)

    def within(self, h: Tensor, codes: Tensor, columns: slice, beside: Tensor | None = None) -> Tensor:
        """h [..., W], the codes of each step [..., n, RANK], of these columns -> [..., n, D]: each sees h and the codes before it.

        `beside` [..., n, D] is added to what each sees.
        """
        x = self.down(h)[..., None, :] + self.column[columns]
        x = x if beside is None else x + beside
        x = x + F.pad(self.lift(codes[..., :-1, :]), (0, 0, 1, 0))
        return self.depth(x.flatten(0, -3)).view_as(x)

    def _frames(self, codes: Tensor) -> Tensor:
        frames, delays = codes.shape[1] - 1, self.layout.delays
        last = max(delays)
        late = [F.pad(codes[:, :, c], (0, 0, delay, last - delay)) for c, delay in enumerate(delays)]
        steps = torch.stack(late, 2)
        h = self.read(steps)
        found = self.within(h, steps[:, 1:], slice(None)) if self.layout.one_by_one else h[:, :, None].expand(-1, -1, len(delays), -1)
        return torch.stack([found[:, delay : delay + frames, c] for c, delay in enumerate(delays)], 2)

    def _flattened(self, codes: Tensor) -> Tensor:
        columns = self.layout.columns
        x = torch.einsum("bfcr,crw->bfcw", codes, self.into * columns**0.5) + self.place.roll(-1, 0)
        x = x.flatten(1, 2)[:, :-1]
        h = self._read(x, torch.arange(x.shape[1], device=x.device))
        return h[:, columns - 1 :].unflatten(1, (-1, columns))

    def _stages(self, codes: Tensor) -> Tensor:
        frames, first = codes.shape[1] - 1, self.layout.first
        parts = [torch.einsum("bfcr,crw->bfw", codes[:, :, part], self.into[part]) for part in (slice(first), slice(first, None))]
        x = torch.cat([(parts[0] + parts[1])[:, :1], parts[0][:, 1:], parts[1][:, 1:-1]], 1)
        stage = torch.cat([self.place[:1].expand(frames, -1), self.place[1:2].expand(frames, -1)])
        h = self._read(x + stage, torch.arange(frames, device=x.device).repeat(2))
        found = [self.within(h[:, :frames], codes[:, 1:, :first], slice(first))]
        found.append(self.within(h[:, frames:], codes[:, 1:, first:], slice(first, None)))
        return torch.cat(found, 2)
