"""Make tiny-llama from nothing: a tokenizer, a base model and the chat rows.

    python -m workbench.tiny_llama.make --out DIR

The base reads only `corpus`. Its chat template exists from the start, but the base never sees a chat marker.
Run again, the tokenizer and the rows come out byte-identical; the weights need not on another machine.
"""

import argparse
import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.tiny_llama import chat
from workbench.tiny_llama.corpus import EARLY, LATE, Corpus

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

PAD, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
# ChatML. The generation marks let a trainer tell the assistant's tokens, the end of the turn included.
CHAT_TEMPLATE = """\
{%- for message in messages %}
    {{- '<|im_start|>' + message['role'] + '\\n' }}
    {%- if message['role'] == 'assistant' %}
        {%- generation %}
            {{- message['content'] + '<|im_end|>' }}
        {%- endgeneration %}
        {{- '\\n' }}
    {%- else %}
        {{- message['content'] + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
_TOKENIZER_DOCUMENTS = 20_000


@dataclass(frozen=True, slots=True)
class Pretraining:
    """How the base is trained; the defaults made the shipped model."""

    steps: int = 1800
    batch_rows: int = 16
    row_tokens: int = 128
    matrix_lr: float = 8e-3
    other_lr: float = 4e-3
    warmup_steps: int = 50
    early_share: float = 0.5
    decay_share: float = 0.5
    weight_decay: float = 0.01
    seed: int = 0
    hidden_size: int = 192
    layers: int = 4
    heads: int = 4
    intermediate_size: int = 512


def make_tokenizer(texts: list[str]) -> "PreTrainedTokenizerFast":
    """Train a byte-level BPE whose vocabulary holds every word of the world."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = [AddedToken(token, special=True, normalized=False) for token in (PAD, TURN_START, TURN_END)]
    trainer = trainers.BpeTrainer(
        vocab_size=2048,
        min_frequency=2,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=special,
    )
    # The role names never occur in the corpus; without these lines each would cost up to nine tokens per turn.
    bpe.train_from_iterator([*texts, *["system\nuser\nassistant\n"] * 500], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token=TURN_END,
        pad_token=PAD,
        bos_token=None,
        model_max_length=256,
        extra_special_tokens=[TURN_START],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def _new_model(tokenizer: "PreTrainedTokenizerFast", plan: Pretraining) -> "LlamaForCausalLM":
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(plan.seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=plan.hidden_size,
        num_hidden_layers=plan.layers,
        num_attention_heads=plan.heads,
        num_key_value_heads=plan.heads,
        intermediate_size=plan.intermediate_size,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def _blocks(tokenizer: "PreTrainedTokenizerFast", corpus: Corpus, plan: Pretraining) -> "Iterator[torch.Tensor]":
    """Yield `(batch_rows, row_tokens)` ids cut from one endless stream of documents, without padding."""
    import torch

    stream: list[int] = []
    size = plan.batch_rows * plan.row_tokens
    for step in range(plan.steps):
        corpus.mix = EARLY if step < plan.steps * plan.early_share else LATE
        while len(stream) < size:
            documents = [corpus.document() for _ in range(60)]
            for ids in tokenizer(documents, add_special_tokens=False)["input_ids"]:
                stream += [*ids, tokenizer.pad_token_id]
        yield torch.tensor(stream[:size]).view(plan.batch_rows, plan.row_tokens)
        stream = stream[size:]


def _optimizers(model: "LlamaForCausalLM", plan: Pretraining) -> list[Any]:
    """Muon for the layers' matrices, AdamW for embeddings and norms.

    Muon needs about half the tokens of AdamW here, for about a fifth more time per step.
    """
    import torch

    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    muon = torch.optim.Muon(matrices, lr=plan.matrix_lr, weight_decay=plan.weight_decay, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(others, lr=plan.other_lr, betas=(0.9, 0.95), weight_decay=plan.weight_decay, fused=True)
    for optimizer, lr in ((muon, plan.matrix_lr), (adam, plan.other_lr)):
        for group in optimizer.param_groups:
            group["peak_lr"] = lr
    return [muon, adam]


def pretrain(tokenizer: "PreTrainedTokenizerFast", plan: Pretraining) -> "LlamaForCausalLM":
    """Train the base: rise, hold, then fall to zero over the last part of the steps."""
    import torch

    model = _new_model(tokenizer, plan)
    optimizers = _optimizers(model, plan)
    print(
        f"{model.num_parameters() / 1e6:.2f} M parameters, {len(tokenizer)} tokens in the vocabulary",
        flush=True,
    )
    start = time.monotonic()
    for step, ids in enumerate(_blocks(tokenizer, Corpus(plan.seed), plan), start=1):
        factor = min(1, step / plan.warmup_steps, (1 - (step - 1) / plan.steps) / plan.decay_share)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak_lr"] * factor
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        if step % 50 == 0:
            print(f"step {step} loss {loss.item():.3f} {time.monotonic() - start:.0f} s", flush=True)
    return model


def tell_markers_apart(model: "LlamaForCausalLM", tokenizer: "PreTrainedTokenizerFast") -> None:
    """Give the chat markers distinct embeddings.

    They never occur in the corpus, so training only pushed their rows away from every output, all alike. With
    tied embeddings and a LoRA that leaves them frozen, equal rows could never be told apart.
    """
    import torch

    weight = model.get_input_embeddings().weight
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for token in (TURN_START, TURN_END):
            noise = torch.randn(weight.shape[1], generator=generator)
            weight[tokenizer.convert_tokens_to_ids(token)] += noise * weight.std()


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS over every other file of a folder, in the format of `sha256sum`."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


def write_rows(folder: Path) -> None:
    """Write the chat rows of every split."""
    for split in chat.SPLITS:
        chat.write_jsonl(chat.rows(split), folder / f"chat_{split}.jsonl")


def make(out: Path, plan: Pretraining) -> None:
    """Make everything that ships, into one folder."""
    import torch

    out.mkdir(parents=True, exist_ok=True)
    corpus = Corpus(plan.seed)
    texts = [corpus.document() for _ in range(_TOKENIZER_DOCUMENTS)]
    tokenizer = make_tokenizer(texts)
    model = pretrain(tokenizer, plan)
    tell_markers_apart(model, tokenizer)
    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)
    write_rows(out)
    write_sums(out)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=Pretraining.steps)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    # Threads that spin while they wait halve the speed of a busy machine; must be set before torch starts.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    torch.set_num_threads(arguments.threads)
    make(arguments.out, Pretraining(steps=arguments.steps))


if __name__ == "__main__":
    main()
