"""The project's states."""
