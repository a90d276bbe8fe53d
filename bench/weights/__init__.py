"""Files of weights: found or downloaded, sha256-checked, read without running anything that they contain.

Comes in: readers of weight formats. Must not import tokenizers or the registry.
"""
