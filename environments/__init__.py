"""Environments in which agents act: their protocol, their registry and the built-in ones."""
