"""The event log: its opening, its one writer, and the learner that folds it."""
