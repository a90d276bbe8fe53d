"""One Whisper in the forms of two packages: openai-whisper's checkpoint, and the folder that faster-whisper reads (CTranslate2's)."""

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

LINEAR = ("weight", "bias")
KINDS = (np.float32, np.int8, np.int16, np.int32, np.float16)


def _block(theirs: str, ours: str, cross: bool) -> dict[str, tuple[str, ...]]:
    """CTranslate2's name of a tensor of a layer -> openai-whisper's names of the tensors that it is stacked of."""
    names: dict[str, tuple[str, ...]] = {}
    for kind in LINEAR:
        names[f"{theirs}/self_attention/linear_0/{kind}"] = tuple(f"{ours}.attn.{part}.{kind}" for part in ("query", "key", "value"))
        names[f"{theirs}/self_attention/linear_1/{kind}"] = (f"{ours}.attn.out.{kind}",)
        names[f"{theirs}/ffn/linear_0/{kind}"] = (f"{ours}.mlp.0.{kind}",)
        names[f"{theirs}/ffn/linear_1/{kind}"] = (f"{ours}.mlp.2.{kind}",)
        if cross:
            names[f"{theirs}/attention/linear_0/{kind}"] = (f"{ours}.cross_attn.query.{kind}",)
            names[f"{theirs}/attention/linear_1/{kind}"] = tuple(f"{ours}.cross_attn.{part}.{kind}" for part in ("key", "value"))
            names[f"{theirs}/attention/linear_2/{kind}"] = (f"{ours}.cross_attn.out.{kind}",)
    norms = {"self_attention": "attn_ln", "ffn": "mlp_ln"} | ({"attention": "cross_attn_ln"} if cross else {})
    for part, norm in norms.items():
        names |= _norm(f"{theirs}/{part}/layer_norm", f"{ours}.{norm}")
    return names


def _norm(theirs: str, ours: str) -> dict[str, tuple[str, ...]]:
    return {f"{theirs}/gamma": (f"{ours}.weight",), f"{theirs}/beta": (f"{ours}.bias",)}


def names(encoder_layers: int, decoder_layers: int) -> dict[str, tuple[str, ...]]:
    """CTranslate2's name of every tensor -> openai-whisper's names of its parts; keys' biases do not exist there: they are 0."""
    found = {f"encoder/conv{i}/{kind}": (f"encoder.conv{i}.{kind}",) for i in (1, 2) for kind in LINEAR}
    found |= {f"{side}/position_encodings/encodings": (f"{side}.positional_embedding",) for side in ("encoder", "decoder")}
    found |= {"decoder/embeddings/weight": ("decoder.token_embedding.weight",)}
    found |= _norm("encoder/layer_norm", "encoder.ln_post") | _norm("decoder/layer_norm", "decoder.ln")
    for side, layers in (("encoder", encoder_layers), ("decoder", decoder_layers)):
        for i in range(layers):
            found |= _block(f"{side}/layer_{i}", f"{side}.blocks.{i}", side == "decoder")
    return found


def read(model: Path) -> dict[str, Tensor]:
    """The tensors of a model.bin by CTranslate2's names."""
    data = memoryview(model.read_bytes())
    place = 0

    def take(form: str) -> int:
        nonlocal place
        (value,) = struct.unpack_from("<" + form, data, place)
        place += struct.calcsize(form)
        return value

    def text() -> str:
        nonlocal place
        size = take("H")
        place += size
        return bytes(data[place - size : place - 1]).decode()

    def tensors() -> Iterator[tuple[str, Tensor]]:
        nonlocal place
        _ = take("I"), text(), take("I")  # version of the form, kind of the model, and its revision
        for _ in range(take("I")):
            name, shape = text(), [take("I") for _ in range(take("B"))]
            kind, size = KINDS[take("B")], take("I")
            place += size
            yield name, torch.from_numpy(np.frombuffer(data[place - size : place], kind).reshape(shape).copy())

    return dict(tensors())


def openai(model: Path, path: Path) -> Path:
    """The same weights as a checkpoint of openai-whisper, written to `path`."""
    held = read(model)
    layers = {side: sum(f"{side}/layer_{i}/ffn/linear_0/bias" in held for i in range(64)) for side in ("encoder", "decoder")}
    state: dict[str, Tensor] = {}
    for theirs, ours in names(layers["encoder"], layers["decoder"]).items():
        parts = held[theirs].chunk(len(ours))
        state |= {name: part.clone() for name, part in zip(ours, parts, strict=True) if not name.endswith(".key.bias")}
    width, mels, _ = held["encoder/conv1/weight"].shape
    vocabulary = len(held["decoder/embeddings/weight"])
    heads = {side: int(held[f"{side}/num_heads"]) for side in layers}
    contexts = {side: len(held[f"{side}/position_encodings/encodings"]) for side in layers}
    dims = {"n_mels": mels, "n_vocab": vocabulary}
    for side, word in (("encoder", "audio"), ("decoder", "text")):
        dims |= {f"n_{word}_ctx": contexts[side], f"n_{word}_state": width, f"n_{word}_head": heads[side], f"n_{word}_layer": layers[side]}
    torch.save({"dims": dims, "model_state_dict": state}, path)
    return path


def ctranslate2(checkpoint: Path, folder: Path, multilingual: bool = False) -> Path:
    """A checkpoint of openai-whisper as a folder of faster-whisper, with the vocabulary of the package openai-whisper."""
    from ctranslate2.specs import WhisperSpec

    held = torch.load(checkpoint, weights_only=True)
    dims, state = held["dims"], held["model_state_dict"]
    spec = WhisperSpec(dims["n_audio_layer"], dims["n_audio_head"], dims["n_text_layer"], dims["n_text_head"])
    for theirs, ours in names(dims["n_audio_layer"], dims["n_text_layer"]).items():
        parts = [state[n] if n in state else torch.zeros_like(state[n.replace(".key.", ".query.")]) for n in ours]
        _put(spec, theirs.split("/"), torch.cat(parts).numpy())
    spec.decoder.projection.weight = spec.decoder.embeddings.weight
    text = _tokenizer(multilingual)
    vocabulary = sorted(json.loads(text)["model"]["vocab"].items(), key=lambda item: item[1])
    added = [(token["content"], token["id"]) for token in json.loads(text)["added_tokens"]]
    known: Mapping[int, str] = {i: word for word, i in (*vocabulary, *added)}
    spec.register_vocabulary([known[i] for i in range(dims["n_vocab"])])
    begin = [i for i, word in known.items() if word in ("Ġ", "<|endoftext|>")]
    config = spec.config
    assert config is not None
    config.suppress_ids, config.suppress_ids_begin = [], sorted(begin)
    config.alignment_heads = [[0, 0]]
    config.lang_ids = [i for word, i in added if len(word) in (6, 7) and word.islower() and multilingual]
    spec.validate()
    spec.optimize()
    folder.mkdir()
    spec.save(str(folder))
    (folder / "tokenizer.json").write_text(text, encoding="utf-8")
    return folder


def _put(spec: object, path: list[str], value: np.ndarray) -> None:
    for part in path[:-1]:
        stem, _, place = part.rpartition("_")
        spec = getattr(spec, part) if hasattr(spec, part) else getattr(spec, stem)[int(place)]
    setattr(spec, path[-1], value)


def _tokenizer(multilingual: bool) -> str:
    """tokenizer.json of Whisper's vocabulary, made of the ranks that openai-whisper carries."""
    from transformers.convert_slow_tokenizer import TikTokenConverter
    from whisper.tokenizer import get_encoding

    from tokenizers import AddedToken

    encoding = get_encoding("multilingual" if multilingual else "gpt2")

    class Ranks(TikTokenConverter):
        @staticmethod
        def load_tiktoken_bpe(tiktoken_url: str) -> dict[bytes, int]:
            return encoding._mergeable_ranks

    made = Ranks(pattern=encoding._pat_str).converted()
    tokens = sorted(encoding._special_tokens, key=encoding._special_tokens.__getitem__)
    made.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in tokens])
    return made.to_str()
