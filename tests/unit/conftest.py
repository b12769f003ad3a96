"""How property tests run here: the same examples each time, and no deadline, since machines differ."""

from hypothesis import settings

settings.register_profile("unit", deadline=None, derandomize=True, database=None, max_examples=60)
settings.load_profile("unit")
