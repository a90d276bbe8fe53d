"""Speed and cost of a tokenizer: times of encode and decode over a sweep, memory, arithmetic, streams.

Comes in: what is measured on a machine of its own, with nothing beside it. Must not print, and not import metrics.
"""
