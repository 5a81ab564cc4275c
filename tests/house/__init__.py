"""Tests of the house: how it is built, installed and documented."""
