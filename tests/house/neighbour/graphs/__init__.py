"""The project's graphs."""
