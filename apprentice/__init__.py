"""Apprentice makes an agent better from its own transcripts and outcomes."""
