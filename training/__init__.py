"""From trajectories to weights. Knows environments and models; knows nothing of graphs."""
