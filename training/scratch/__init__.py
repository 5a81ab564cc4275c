"""Training the models that ship, from nothing: a loop, and what it is given to read."""
