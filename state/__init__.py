"""The ground floor: the nouns everything speaks, and the prompts made of them.

Pure data and pure functions. Nothing here touches a file, a model, the network or the clock,
and nothing here imports another room.
"""
