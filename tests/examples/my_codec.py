"""my_codec.py: two learned filters around 8-bit codes. Run it: bench run --tokenizer ./my_codec.py [--weights other.safetensors]"""

import torch
from safetensors.torch import load_file

from bench.api import Checkpoint, Codebook, Spec, Variant


class MyCodec(torch.nn.Module):
    def __init__(self, spec: Spec, weights):
        super().__init__()
        self.spec = spec
        self.down, self.up = torch.nn.Conv1d(1, 1, 4, 2, 1), torch.nn.ConvTranspose1d(1, 1, 4, 2, 1)
        self.load_state_dict(load_file(weights))  # the harness moves the module to the device

    def encode(self, wav: torch.Tensor) -> torch.Tensor:  # [B, 1, T] in [-1, 1], any T >= 1 -> codes [B, K, F] of int64
        wav = torch.nn.functional.pad(wav, (0, wav.shape[-1] % 2))
        return ((self.down(wav).clamp(-1, 1) + 1) * 127.5).round().long()

    def decode(self, codes: torch.Tensor) -> torch.Tensor:  # from the codes and nothing else -> [B, 1, T'], T' >= T
        return self.up(codes / 127.5 - 1)


facts = Spec("my_codec", "8bit", sample_rate=16_000, codebooks=(Codebook(size=256, rate=8_000),))
VARIANTS = {"8bit": Variant(facts, MyCodec, Checkpoint("my_codec.safetensors"))}  # a file beside this one
