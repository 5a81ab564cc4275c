"""The steps of feedback: receive, record, annotate."""
