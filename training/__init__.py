"""Train adapters from trajectories. This package uses environments and models, but no graphs."""
