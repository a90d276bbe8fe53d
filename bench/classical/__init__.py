"""Coders that are no networks, run by the libraries that everybody uses, as tokenizers.

Comes in: what several classical families share. May import torch, numpy, their libraries (when used) and `bench.api`.
"""
