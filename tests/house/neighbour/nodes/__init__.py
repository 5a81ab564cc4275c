"""The project's nodes."""
