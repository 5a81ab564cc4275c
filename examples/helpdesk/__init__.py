"""A preference set: good and bad answers of a help desk."""
