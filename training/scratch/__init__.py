"""Training of the embedded models from scratch: the loop, the chat format, and the samples."""
