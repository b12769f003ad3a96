"""Reproducible texts of the scoring benchmark, and its reward model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laserve.lab.data.built_in import built_in
from laserve.models.folders import adapter_folder
from laserve.types import Candidate, Document, Request, Sampling

#: Approximate number of tokens of a candidate.
CANDIDATE_TOKENS = 12
#: Approximate number of tokens that the chat template and the question add to the documents.
_AROUND = 64
_SEED = 7


@dataclass(kw_only=True)
class Texts:
    """Requests and candidates cut from the built-in documents; none is repeated, so nothing is cached."""

    tokenizer: Any
    ids: list[int]
    #: Number of requests and candidates made so far.
    requests: int = 0
    candidates_made: int = 0

    @classmethod
    def of(cls, base: str) -> "Texts":
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(base)
        documents = {document.text: None for row in built_in() for document in row.request.documents}
        ids: list[int] = tokenizer("\n".join(documents), verbose=False).input_ids
        return cls(tokenizer=tokenizer, ids=ids)

    def request(self, tokens: int) -> Request:
        """A question whose prompt has about `tokens` tokens and a unique start."""
        self.requests += 1
        start = (self.requests * 97) % len(self.ids)
        wanted = max(tokens - _AROUND, 1)
        ids = (self.ids[start:] + self.ids * (wanted // len(self.ids) + 1))[:wanted]
        text = f"Record {self.requests}. {self.tokenizer.decode(ids)}"
        return Request(
            question="What do these records say of the lighthouse and of who built it?",
            documents=(Document(text=text),),
            sampling=Sampling(n=1, temperature=1.0, top_p=1.0, max_tokens=2 * CANDIDATE_TOKENS),
            timeout_s=600.0,
        )

    def candidates(self, n: int) -> list[Candidate]:
        """Short answers that differ from each other."""
        made = []
        for index in range(n):
            self.candidates_made += 1
            start = (self.candidates_made * 131) % (len(self.ids) - CANDIDATE_TOKENS)
            words = self.tokenizer.decode(self.ids[start : start + CANDIDATE_TOKENS - 2])
            text = f"{self.candidates_made} {words}"
            made.append(Candidate(index=index, text=text, finish_reason="stop", tokens=12, logprob=-1.0))
        return made


def ready_adapter(base: str, folder: Path, name: str = "grounded") -> Path:
    """The packaged adapter of this name or, if there is none, a random one from a fixed seed.

    Args:
        base: folder of the adapter's base model.
        folder: folder for the random adapter.
    """
    packaged = adapter_folder(name)
    if (packaged / "adapter_config.json").is_file():
        return packaged
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(_SEED)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1, dtype=torch.bfloat16)
    last = model.config.num_hidden_layers
    config = LoraConfig(
        task_type="SEQ_CLS",
        r=16,
        lora_alpha=32,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj"],
        layers_to_transform=list(range(last // 2, last)),
    )
    model = get_peft_model(model, config)
    with torch.no_grad():
        for weight_name, weight in model.named_parameters():
            if "lora_B" in weight_name:
                weight.normal_(0, 0.02)
            elif "modules_to_save" in weight_name:
                weight.normal_(0, 0.05)
    model.to(torch.bfloat16).save_pretrained(folder)
    return folder
