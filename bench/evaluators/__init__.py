"""Models that are asked about audio (ASR models, speaker encoders): what they say is a column, and their name is part of it.

Comes in: one record and one function a model, its weights known by sha256. Knows no tokenizer; must not import the engine.
"""
