"""From trajectories to weights: datasets, trainers, jobs and the advisor. No LangGraph."""
