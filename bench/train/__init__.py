"""Training recipes of the bundled models, and k-means codebooks (`bench train`, `bench kmeans`).

Comes in: losses, discriminators, data and loops of training. Nothing outside `bench.commands` and `bench.ablation` may import from here.
"""
