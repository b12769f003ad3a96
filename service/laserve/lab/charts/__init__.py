"""Charts as SVG texts to be embedded in a page, without script, font or file."""
