"""What there is, by name, without importing torch: tokenizers with the facts of their specs, suites with their columns.

Comes in: the index (index.json, made from the two folders of plug-ins by `python -m bench.catalog.index`) and the one resolver of names.
Must not import torch, nor anything above bench.api.
"""
