"""How the clerk is made: its words, what it reads, and its training."""
