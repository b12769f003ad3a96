"""The JSON bodies of the HTTP interface, one class per body."""
