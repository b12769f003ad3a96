"""Shapes of records: the columns of the data sets that people have, each read as `Row`."""
