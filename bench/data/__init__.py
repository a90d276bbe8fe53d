"""Audio that tokenizers are run on: manifests, files and the one resampler, synthetic signals for tests.

Comes in: whatever opens data. Must not import the engine, metrics or evaluators.
"""

from bench.data.manifests import partners as partners

RESAMPLER = "soxr VHQ"
"""Part of every identity: the same on every device, so that no score depends on what is installed."""
