"""One feedback: what it says of each arm, and what it leaves in the log."""
