"""Controlled experiments under one budget (`bench ablate`): one network, one data set, one set of seeds, and what is varied.

Comes in: designs, the quantizers and the network that they name, their training, tables over seeds. The engine judges; suites are given.
Must not know a codec or a suite by name, and holds no loss or step of its own that `bench.train` has.
"""
