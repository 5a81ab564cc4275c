"""Commands that measure and print tables. Alternatives are measured in the same run."""
