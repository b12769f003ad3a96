"""What a reward model's prompt costs, read once or for each candidate."""
