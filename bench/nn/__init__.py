"""Blocks that codecs are composed of. They know no codec's name and need torch alone.

Comes in: a layer, quantizer or backbone that a tokenizer is built of. May import torch, numpy, `bench.api` and `bench.weights` only.
"""
