"""The commands of `bench`, one file each. A module adds its words to the parser and acts on them.

Comes in: the command's arguments. Heavy imports wait inside the functions that act, so that --help answers at once.
Nothing but `bench.cli` may import from here.
"""
