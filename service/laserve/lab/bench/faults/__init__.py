"""Benchmark of faults: a service under load while its parts fail."""
