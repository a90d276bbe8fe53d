"""Audio as a data set of token streams for language models, and back: what `bench tokenize` writes and `bench detokenize` reads.

Comes in: how codes become the tokens of a layout, the vocabulary that says how to read them, shards on disk. Must not know a tokenizer by
name, nor parse words or print. Nothing but the commands and `bench/python` may import from here.
"""
