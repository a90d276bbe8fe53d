"""Blocks that codecs are composed of. They know no codec's name and need torch alone."""
