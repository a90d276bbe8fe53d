"""What a script or a notebook uses, offered lazily by `bench/__init__.py`, as `bench.evaluate` and `bench.tokenize`.

Comes in: the same steps as the commands take, with Python objects in and DataFrames out. Must not parse words or print.
Nothing but `bench/__init__.py` and the commands may import from here.
"""
