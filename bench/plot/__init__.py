"""Runs -> pictures, as PNG and SVG: readable in black and white, every line named beside its end."""
