"""The serving process: its wiring, lifespan, socket, signals and log lines."""
