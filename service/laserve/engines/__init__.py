"""vLLM engines: their arguments on a CPU, their start, supervision, restart and end."""
