"""gpulake: a lakehouse for GPU training clusters, whose figures add up."""
