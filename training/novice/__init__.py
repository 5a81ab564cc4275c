"""Make the embedded model `local:novice`: its lessons, corpus, tokenizer and training recipe."""
