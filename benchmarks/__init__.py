"""Measured side by side, in one run: commands that print tables."""
