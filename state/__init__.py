"""Data types, pure functions and prompts that all other rooms use.

Nothing here touches a file, a model, the network or the clock, and nothing here imports another
room.
"""
