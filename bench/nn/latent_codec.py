"""A codec of three parts, whatever they are: a waveform encoder, a quantizer of its latents, a waveform decoder."""

from __future__ import annotations

from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.api import Spec
from bench.nn.checks import require_codes, require_wav
from bench.nn.quantizers import Quantizer

Part = TypeVar("Part", bound=Quantizer)


class LatentCodec(nn.Module, Generic[Part]):
    """wav [B, 1, T] -> latents [B, D, F] -> codes [B, K, F] -> wav [B, 1, F * hop].

    `whole`: the encoder takes whole frames only, so that the last one is filled up with zeros; else it pads by itself.
    """

    quantizer: Part

    def __init__(self, spec: Spec, encoder: nn.Module, quantizer: Part, decoder: nn.Module, hop: int, whole: bool):
        super().__init__()
        self.spec, self.hop, self.whole = spec, hop, whole
        self.encoder, self.decoder, self.quantizer = encoder, decoder, quantizer

    @torch.no_grad()
    def encode(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T], T >= 1 -> codes [B, K, ceil(T / hop)]."""
        require_wav(wav)
        return self._encode(F.pad(wav, (0, -wav.shape[-1] % self.hop)) if self.whole else wav)

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        """codes [B, K, F] -> wav [B, 1, F * hop]."""
        require_codes(codes, len(self.spec.codebooks), least=1)
        return self._decode(codes)

    def _encode(self, wav: Tensor) -> Tensor:
        """What encode does with audio that has the right shape; a codec may give it a few items at a time."""
        return self.quantizer.encode(self.latents(wav), len(self.spec.codebooks))

    def _decode(self, codes: Tensor) -> Tensor:
        return self.synthesis(self.quantizer.decode(codes))

    def latents(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T] -> [B, D, F] before quantization."""
        return self.encoder(wav)

    def synthesis(self, latents: Tensor) -> Tensor:
        """Quantized latents [B, D, F] -> wav [B, 1, F * hop]."""
        return self.decoder(latents)
