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

FRAMES = 512  # that are searched at once: of 8 sequences and 1,024 codes the distances fill 32 MiB


def search(points: Tensor, tables: Sequence[Tensor], beam: int) -> Tensor:
    """points [N, D], the vectors [S, D] of each level -> codes [N, levels] whose vectors add up nearest to the points.

    The distance is squared, all dimensions alike. `beam` sequences a frame are followed; 1 is the nearest code of each level. In double
    precision: many sequences are nearly as good as the best, and a frame has to get the same one alone, in a batch and in a stream.
    """
    points, tables = points.double(), [table.double() for table in tables]
    norms = [table.square().sum(-1) / 2 for table in tables]
    return torch.cat([_search(part, tables, norms, beam) for part in points.split(FRAMES)])


def _search(points: Tensor, tables: Sequence[Tensor], norms: Sequence[Tensor], beam: int) -> Tensor:
    rest = points[:, None]  # [N, b, D]: what each sequence leaves
    left = rest.new_zeros(rest.shape[:2])  # [N, b]: half of its square, but for the points' own
    codes = torch.zeros(len(points), 1, 0, dtype=torch.long, device=points.device)
    for table, norm in zip(tables, norms, strict=True):
        size = len(table)
        costs = (left[..., None] + norm - rest @ table.T).flatten(1)  # [N, b * S]
        left, found = costs.topk(min(beam, costs.shape[1]), dim=1, largest=False)
        parent, code = found // size, found % size
        rest = rest.gather(1, parent[..., None].expand(-1, -1, rest.shape[-1])) - table[code]
        codes = torch.cat([codes.gather(1, parent[..., None].expand(-1, -1, codes.shape[-1])), code[..., None]], dim=-1)
    return codes[:, 0]  # topk sorts: the first leaves least
