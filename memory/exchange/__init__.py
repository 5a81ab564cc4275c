"""In and out: attempts from files, data sets and LangSmith, and attempts written for others."""
