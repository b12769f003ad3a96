"""Charts by matplotlib: SVG in pages, PNG in files."""
