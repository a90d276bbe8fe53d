"""Codes as such: their contract, sizes, layouts, alignment between clips, and their information (mutual information).

Comes in: what can be said of tokens without decoding them. Must not import the engine or evaluators.
"""
