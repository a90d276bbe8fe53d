"""Models that are asked about audio: what they hear is a column, and their name stands in it."""
