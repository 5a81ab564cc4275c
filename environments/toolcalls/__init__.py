"""Function calling: requests that need one of a domain's tools, or none."""
