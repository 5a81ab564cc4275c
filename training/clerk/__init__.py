"""Make the embedded model `local:clerk`: its vocabulary, corpus and training recipe."""
