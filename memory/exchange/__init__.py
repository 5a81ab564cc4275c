"""Import attempts from files, data sets and LangSmith, and export attempts as rows."""
