"""The `apprentice` command: thin, it calls the graphs."""
