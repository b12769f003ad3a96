"""The JSON bodies of the HTTP interface, one class a body."""
