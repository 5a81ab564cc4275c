"""The `apprentice` command. It calls the graphs and prints what they return."""
