"""The verbs of the command line. A module adds its words to the parser; heavy imports wait inside the functions that act."""
