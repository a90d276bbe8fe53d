"""Codes of a residual quantizer by beam search: several sequences a frame are followed from level to level, and the best one is kept.

The nearest code of each level is not the best sequence: a later level may mend a second-best choice well and the best choice badly. An
encoder may look further (the M-algorithm of multistage vector quantization: LeBlanc et al. 1993, "Efficient search and design
procedures for robust multi-stage VQ of LPC parameters for 4 kb/s speech coding", IEEE Trans. Speech Audio Processing 1(4)); what a
decoder makes of codes stays the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

FRAMES = 128  # that are searched at once: of 8 sequences and 1,024 codes the distances fill 4 MiB, which a cache holds
WIDER = 2  # times the beam, in single precision: rounding does not carry one of the best past so many others


def search(points: Tensor, tables: Sequence[Tensor], beam: int) -> Tensor:
    """points [N, D], the vectors [S, D] of each level -> codes [N, levels] whose vectors add up nearest to the points.

    The distance is squared, all dimensions alike. `beam` sequences a frame are followed; 1 is the nearest code of each level. Double
    precision decides: many sequences are nearly as good as the best, and a frame has to get the same one alone, in a batch and in a stream.
    """
    levels = [Level(table) for table in tables]
    at_once = len(points) if torch.compiler.is_compiling() else FRAMES  # a compiler writes every turn of a loop out
    return torch.cat([_search(part, levels, beam) for part in points.double().split(at_once)])


class Level:
    """The vectors of a level [S, D] and half of their squares [S], in double and in single precision."""

    def __init__(self, table: Tensor):
        self.table, self.rough = table.double(), table.float()
        self.norm = self.table.square().sum(-1) / 2
        self.rough_norm = self.norm.float()


def _search(points: Tensor, levels: Sequence[Level], beam: int) -> Tensor:
    rest = points[:, None]  # [N, b, D]: what each sequence leaves
    left = rest.new_zeros(rest.shape[:2])  # [N, b]: half of its square, but for the points' own
    codes = torch.zeros(len(points), 1, 0, dtype=torch.long, device=points.device)
    for level in levels:
        count, size, width = rest.shape[1], *level.table.shape
        rough = torch.addmm(level.rough_norm, rest.float().flatten(0, 1), level.rough.T, alpha=-1)  # [N * b, S]
        rough = rough.add_(left.float().view(-1, 1)).view(-1, count * size)
        found = rough.topk(min(WIDER * beam, count * size), dim=1, largest=False).indices
        parent, code = found // size, found % size
        rests, vectors = rest.gather(1, parent[..., None].expand(-1, -1, width)), level.table[code]  # [N, WIDER * b, D]
        costs = left.gather(1, parent) + level.norm[code] - (rests * vectors).sum(-1)
        left, best = costs.topk(min(beam, costs.shape[1]), dim=1, largest=False)
        rest = (rests - vectors).gather(1, best[..., None].expand(-1, -1, width))
        parent, code = parent.gather(1, best), code.gather(1, best)
        codes = torch.cat([codes.gather(1, parent[..., None].expand(-1, -1, codes.shape[-1])), code[..., None]], dim=-1)
    return codes[:, 0]  # topk sorts: the first leaves least
