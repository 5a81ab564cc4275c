"""Function calling: requests that one of a domain's tools answers, or none."""
