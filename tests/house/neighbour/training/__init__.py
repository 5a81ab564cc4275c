"""The project's training."""
