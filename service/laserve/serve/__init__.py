"""One process that serves: its wiring, lifespan, socket, signals and log lines."""
