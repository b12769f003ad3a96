"""Off-policy evaluation of a log: estimators and their intervals."""
