"""Charts as SVG texts that stand in a page: no script, no font and no file of their own."""
