"""vLLM engines: their arguments on a CPU, their start, their watch, their restart and their end."""
