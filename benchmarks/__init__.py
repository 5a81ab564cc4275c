"""Figures and comparisons: what is claimed, measured by one command."""
