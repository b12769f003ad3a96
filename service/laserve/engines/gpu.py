"""Sizes of vLLM's engines of reward models on a GPU."""

#: Memory for the KV cache, in bytes.
POOLING_KV_CACHE_BYTES = 4 * 2**30
#: Share of the GPU's memory that must be free.
POOLING_SHARE = 0.1
