"""Models small enough to make and train in a test, with random weights and real architectures."""

from pathlib import Path

from laserve.config import load
from laserve.models.packaged import prepare

SEED = 7


def base() -> Path:
    """The prepared SmolLM2, for its tokenizer and chat template."""
    settings = load(config=None, profile=None)
    return prepare("smollm2-135m-instruct", settings.cache_dir.expanduser())


def decoder(folder: Path, *, layers: int = 2, hidden: int = 64) -> Path:
    """A small Llama with SmolLM2's tokenizer."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(base())
    torch.manual_seed(SEED)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
