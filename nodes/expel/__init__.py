"""The steps of expel."""
