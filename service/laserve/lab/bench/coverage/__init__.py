"""Coverage of off-policy intervals in simulated logs."""
