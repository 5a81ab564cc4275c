"""Tests of chat and embedding models."""
