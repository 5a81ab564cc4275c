"""How the embedded model is made: its lessons, corpus, tokenizer and training."""
