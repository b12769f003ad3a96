"""Context features of a request."""
