"""The arms: reward models with their states, their attempts at requests, and their changes at run time."""
