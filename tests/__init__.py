"""A package, so that no installed one hides it: a peer of the benchmarks brings one so named."""
