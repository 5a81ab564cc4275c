"""The steps of exemplar: recall, adapt, attempt, judge, record."""
