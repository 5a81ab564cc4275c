"""What is stored between runs: experience, reflections, rules, releases."""
