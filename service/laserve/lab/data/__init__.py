"""Questions, preferences and labelled answers, read from files."""
