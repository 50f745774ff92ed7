"""A package, so that no installed one of this name (a peer of the benchmarks brings one) hides it."""
