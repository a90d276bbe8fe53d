"""A trained model that is given something beside the past: a transcript, or the codes of another version of the clip.

The model itself stays as it was. What is learned is added to what it knows of a step, and begins at nothing: given what says nothing, it
costs what it cost before, whatever else a longer training would have brought.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.lm.network import HEAD, RANK, SELDOM, STEEP, Block, Body, LanguageModel, pointed, rotations

TURNS = 2  # of looking at the transcript, each with a look back at what was found
WINDOW = 5  # letters, or frames, that a convolution sees


class Around(nn.Module):
    """Two convolutions over a whole sequence, added to it: [B, T, D] -> the same."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv1d(width, width, WINDOW, padding=WINDOW // 2) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + F.gelu(layer(x.transpose(1, 2)).transpose(1, 2))
        return x


class LookUp(nn.Module):
    """Attention of frames to letters, nearest to a letter's likely time at first."""

    def __init__(self, width: int):
        super().__init__()
        self.heads = width // HEAD
        self.before = nn.LayerNorm(width)
        self.q, self.kv, self.out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.reach = nn.Parameter(torch.linspace(-2.0, 1.0, self.heads))  # of each head: log of its width, in seconds
        self.lead = nn.Parameter(torch.zeros(self.heads))  # and how far ahead it looks

    def forward(self, x: Tensor, letters: Tensor, there: Tensor, lag: Tensor) -> Tensor:
        """x [B, F, D], letters [B, L, D], there [B, L], lag [B, F, L] -> [B, F, D]."""
        q = self.q(self.before(x)).unflatten(-1, (self.heads, HEAD)).transpose(1, 2)
        k, v = self.kv(letters).unflatten(-1, (2, self.heads, HEAD)).permute(2, 0, 3, 1, 4)
        far = ((lag[:, None] + self.lead[:, None, None]) * torch.exp(-self.reach)[:, None, None]).square() / 2
        y = F.scaled_dot_product_attention(q, k, v, (-far).masked_fill(~there[:, None, None], -1e4))
        return self.out(y.transpose(1, 2).flatten(2))


class GivenText(nn.Module):
    """A model of the layout `depth`, given transcripts."""

    def __init__(self, model: LanguageModel, body: Body, size: int):
        super().__init__()
        self.model, width = model.requires_grad_(False), body.width
        self.letters, self.around = nn.Embedding(size + 1, width, padding_idx=0), Around(width)
        self.looks = nn.ModuleList(LookUp(width) for _ in range(TURNS))
        self.blocks = nn.ModuleList(Block(width) for _ in range(TURNS))
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, numbers: Tensor, where: Tensor | None, letters: Tensor, lag: Tensor) -> Tensor:
        """numbers [B, F + 1, C], letters [B, L], lag [B, F, L] (bench/lm/beside.py) -> log p as the model's own."""
        codes = self.model.embedded(numbers)
        h, known = self.model.read(codes), self.around(self.letters(letters))
        x, turn = h, rotations(torch.arange(h.shape[1], device=h.device), HEAD)
        for look, block in zip(self.looks, self.blocks, strict=True):
            x = block(x + look(x, known, letters > 0, lag), turn)
        h, now, new, last = chosen(where, h + self.out(self.norm(x)), codes[:, 1:], numbers[:, 1:], numbers[:, :-1])
        return self.model.answers(self.model.within(h, now, slice(None)), new, last)


class GivenCodes(nn.Module):
    """A model of the layout `depth`, given codes beside those that it predicts: all of them, those of later frames, too."""

    def __init__(self, model: LanguageModel, body: Body):
        super().__init__()
        self.model, width, columns = model.requires_grad_(False), body.width, model.layout.columns
        self.embedding = nn.Embedding.from_pretrained(model.embedding.weight.detach().clone(), freeze=False, padding_idx=0)
        self.into = nn.Parameter(torch.randn(columns, RANK, width) / (RANK * columns) ** 0.5)
        self.around, self.norm = Around(width), nn.LayerNorm(2 * width)
        self.mix, self.out = nn.Linear(2 * width, 2 * width), nn.Linear(2 * width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.own = nn.Parameter(torch.zeros(columns, RANK, body.depth_width))  # what the code beside says of the one in its place
        self.agree = nn.Parameter(torch.zeros(columns, body.depth_width))  # added where the code before was the one beside it
        self.copy = nn.Parameter(torch.zeros(columns, body.depth_width))
        self.odds = nn.Parameter(torch.full((columns,), SELDOM))

    def forward(self, numbers: Tensor, where: Tensor | None, others: Tensor) -> Tensor:
        """numbers [B, F + 1, C], others [B, F, C] -> log p as the model's own."""
        codes, beside = self.model.embedded(numbers), self.embedding(others)
        h = self.model.read(codes)
        x = torch.cat([h, self.around(torch.einsum("bfcr,crw->bfw", beside, self.into))], -1)
        h = h + self.out(F.gelu(self.mix(self.norm(x))))
        h, now, beside, new, last, others = chosen(where, h, codes[:, 1:], beside, numbers[:, 1:], numbers[:, :-1], others)
        hit = (new == others) & (others > 0)
        seen = torch.einsum("...cr,crw->...cw", beside, self.own) + F.pad(hit[..., :-1], (1, 0))[..., None] * self.agree
        hidden = self.model.within(h, now, slice(None), seen)
        odds = (hidden * self.copy).sum(-1) + STEEP * self.odds
        return pointed(self.model.answers(hidden, new, last), odds, others > 0, hit)


def chosen(where: Tensor | None, *parts: Tensor) -> tuple[Tensor, ...]:
    """Of parts [B, F, ...] those frames [n, ...], counted row by row; None: as they are."""
    return parts if where is None else tuple(part.flatten(0, 1)[where] for part in parts)
