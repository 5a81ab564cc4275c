"""The four experiments of `apprentice learn`, and its report."""
