"""vLLM engines: started, watched, started anew after their death, ended with their server."""
