"""`laserve doctor`: what a configuration needs, what the machine has, and what would go wrong at a start."""
