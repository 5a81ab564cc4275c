"""A preference set: how a help desk answers, and how it does not."""
