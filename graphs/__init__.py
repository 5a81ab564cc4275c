"""Wiring only: one module per technique, opening with its picture; `build` and `graph`."""
