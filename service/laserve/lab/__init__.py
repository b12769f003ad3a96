"""The laboratory: benchmarks, reports and training, offline."""
