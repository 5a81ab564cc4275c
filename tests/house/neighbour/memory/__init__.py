"""The project's memory."""
