"""Shapes of questions with right answers, and of plain requests."""
