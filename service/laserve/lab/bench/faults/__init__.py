"""A service under load while its parts are broken."""
