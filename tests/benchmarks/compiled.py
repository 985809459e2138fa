"""What torch.compile keeps for backward beside what the plain step keeps: `python -m tests.benchmarks.compiled`.

A small Llama (4 layers, 2 × 256 tokens) on the CPU; the partition of forward and backward is inductor's
(`aot_eager_decomp_partition`), which needs no compiler. Bytes of distinct storages, parameters aside.
"""

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

SIZES = {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 4, "num_attention_heads": 4}


def saved(model, ids):
    """Bytes that forward keeps."""
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    seen = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
    kept = sum(seen.values())
    loss.backward()
    return kept


def main():
    """Print both for full and LoRA, float32 and bfloat16."""
    ids = torch.randint(0, 1000, (2, 256))
    for lora in (False, True):
        for dtype in (torch.float32, torch.bfloat16):
            model = LlamaForCausalLM(LlamaConfig(vocab_size=1000, **SIZES)).to(dtype)
            if lora:
                model = get_peft_model(model, LoraConfig(r=8, target_modules="all-linear"))
            plain = saved(model, ids)
            torch._dynamo.reset()
            compiled = torch.compile(model, backend="aot_eager_decomp_partition")
            saved(compiled, ids)
            kept = saved(compiled, ids)
            print(f"{'LoRA' if lora else 'full'} {dtype}: {plain:,} plain, {kept:,} compiled, {kept / plain - 1:+.1%}")


if __name__ == "__main__":
    main()
