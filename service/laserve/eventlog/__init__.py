"""The event log: opened, checked, and folded into what the service has learned."""
