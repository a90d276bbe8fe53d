"""Public data sets that have a name: where their archives are, what proves them, and how each lays its clips out.

Comes in: a set's record in `sets.py` and the function that reads its layout in `layouts.py`. Must not import manifests, which ask it.
"""
