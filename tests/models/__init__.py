"""Tests of the seam to chat models."""
