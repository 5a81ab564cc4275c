"""What `apprentice learn` shows: four experiments in the household, and the report on them."""
