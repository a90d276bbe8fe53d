"""The writer of facodec.json: what the authors' FACodec makes of the recipe's weights and sounds.

    git clone https://github.com/open-mmlab/Amphion
    git -C Amphion checkout d3de90f02e7f1c7dbc24b04d52fe1b8ef438effe
    PYTHONPATH=. python tests/parity/write_facodec.py Amphion

It needs torch and einops beside that checkout. What that code imports for features of training may be missing.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import types
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.parity.facodec_recipe import BOOKS, CASES, HEARD_OF_VOICE, HOP, SEEDS, SIZES, STORED, WIDTH, weights
from tests.parity.wavtokenizer_recipe import Shapes, heard, sound
from tests.parity.write_wavtokenizer import rounded

COMMIT = "d3de90f02e7f1c7dbc24b04d52fe1b8ef438effe"  # of the authors' repository
FOLDER = "models/codec/ns3_codec"
TRAINING = ("f0_predictor.", "phone_predictor.", "res_f0_predictor.", "res_phone_predictor.", "timbre_encoder.position_emb.")
STAND_INS = {
    "pyworld": {},
    "librosa": {},
    "librosa.filters": {"mel": None},
    "torchaudio": {},
    "torchaudio.functional": {"pitch_shift": None},
}


class Official:
    """The authors' two classes, as their README uses them."""

    def __init__(self, checkout: Path, filters: int, decoder_filters: int):
        modules = {name: types.ModuleType(name) for name in STAND_INS}
        for name, module in modules.items():
            module.__dict__.update(STAND_INS[name])
        path = [str(checkout / Path(FOLDER).parent), *sys.path]
        with mock.patch.dict(sys.modules, modules), mock.patch.object(sys, "path", path), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # weight_norm is old
            package: Any = importlib.import_module("ns3_codec")
            self.encoder = package.FACodecEncoder(ngf=filters, up_ratios=[2, 4, 5, 5], out_channels=WIDTH).eval()
            self.decoder = package.FACodecDecoder(
                in_channels=WIDTH,
                upsample_initial_channel=decoder_filters,
                ngf=filters,
                up_ratios=[5, 5, 4, 2],
                vq_num_q_c=2,
                vq_num_q_p=1,
                vq_num_q_r=3,
                vq_dim=WIDTH,
                codebook_dim=8,
                codebook_size_prosody=10,
                codebook_size_content=10,
                codebook_size_residual=10,
                use_gr_residual_f0=True,
                use_gr_residual_phone=True,
            ).eval()

    def shapes(self) -> Shapes:
        """Of all that their files hold, but for what training alone needs and the table of positions."""
        state = {f"encoder.{name}": value for name, value in self.encoder.state_dict().items()}
        state |= {f"decoder.{name}": value for name, value in self.decoder.state_dict().items() if not name.startswith(TRAINING)}
        return {name: list(value.shape) for name, value in sorted(state.items())}

    def fill(self, state: dict[str, dict[str, Tensor]]) -> None:
        """Weights of both files."""
        self.encoder.load_state_dict(state["encoder"], strict=True)
        missing, strangers = self.decoder.load_state_dict(state["decoder"], strict=False)
        assert not strangers and all(name.startswith(TRAINING) for name in missing)

    def latents(self, wav: Tensor) -> Tensor:
        """wav [B, 1, T] -> [B, D, F]."""
        return self.encoder(F.pad(wav, (0, -wav.shape[-1] % HOP)))

    def levels(self) -> list[Any]:
        """The codebooks' modules, in the order of BOOKS."""
        return [level for stream in self.decoder.quantizer for level in stream.layers]


@torch.no_grad()
def book_facts(model: Official, seed: int) -> tuple[list[list[float]], list[list[float]]]:
    """Where each codebook belongs: the mean of what reaches it of a sound, and how far codes lie from it, in each coordinate; rounded."""
    middles, spreads = [[0.0] * 8 for _ in BOOKS], [[1.0] * 8 for _ in BOOKS]
    for i in range(len(BOOKS)):  # what reaches a level depends on those before
        model.fill(weights(model.shapes(), seed, middles, spreads))
        seen: list[Tensor] = []
        hook = model.levels()[i].in_proj.register_forward_hook(lambda _, __, y, seen=seen: seen.append(y))
        model.decoder(model.latents(sound(1, 32_000, seed + 100)), eval_vq=False, vq=True)
        hook.remove()
        middles[i], spreads[i] = rounded(seen[0][0].mean(0), 3), rounded(0.8 * seen[0][0].std(0), 3)
    return middles, spreads


@torch.no_grad()
def measure(model: Official, clips: int, samples: int, seed: int) -> dict[str, Any]:
    """What the authors' code makes of clips, one by one: their voice depends on the place in a batch."""
    found = []
    for wav in sound(clips, samples, seed).split(1):
        latents, codes, _, _, voice = model.decoder(model.latents(wav), eval_vq=False, vq=True)
        found.append((codes[:, 0], voice[0], model.decoder.inference(latents, voice)))
    audio = torch.cat([wav for _, _, wav in found])
    return {
        "clips": clips,
        "samples": samples,
        "codes": [codes.tolist() for codes, _, _ in found],
        "voice": [rounded(voice[:HEARD_OF_VOICE], 7) for _, voice, _ in found],
        "decoded": audio.shape[-1],
        "heard": [rounded(clip, 8) for clip in heard(audio)],
        "rms": rounded(audio.square().mean((1, 2)).sqrt(), 8),
    }


def main(checkout: Path) -> None:
    sources = hashlib.sha256(b"".join(path.read_bytes() for path in sorted((checkout / FOLDER).rglob("*.py")))).hexdigest()
    record: dict[str, object] = {"commit": COMMIT, "sources": sources, "torch": torch.__version__}
    record["written by"] = "tests/parity/write_facodec.py"
    for name, numbers in SIZES.items():
        model, runs = Official(checkout, *numbers), []
        for seed in SEEDS[name]:
            middles, spreads = book_facts(model, seed)
            model.fill(weights(model.shapes(), seed, middles, spreads))
            cases = [measure(model, clips, samples, seed) for clips, samples in CASES]
            runs.append({"seed": seed, "middles": middles, "spreads": spreads, "cases": cases})
            different = [len({code for case in cases for clip in case["codes"] for code in clip[level]}) for level in range(len(BOOKS))]
            print(f"{name}, seed {seed}: {different} different codes, rms {[case['rms'] for case in cases]}")
        record[name] = {"shapes": model.shapes(), "runs": runs}
    STORED.write_text(json.dumps(record, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve())
