"""A tokenizer, a model and rows small enough to make in a test."""

from workbench.exports.facts import ExportFacts
from workbench.rows.convert import convert_all
from workbench.templates.registry import find
from workbench.tokens.encode import load_tokenizer, special_tokens
from workbench.tokens.examples import Setting, tokenize
from workbench.types import TokenizedExample

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CHATS = [
    {
        "messages": [
            {"role": "system", "content": "Be brief. "},
            {"role": "user", "content": "# Hi: {x} \u00a0"},
            {"role": "assistant", "content": "Hello there!"},
            {"role": "user", "content": "2 + 3?"},
            {"role": "assistant", "content": "5"},
        ]
    },
    {"messages": [{"role": "user", "content": "List"}, {"role": "assistant", "content": "[[1, 2], [3]]\nno"}]},
    {"messages": [{"role": "user", "content": "Bonjour"}, {"role": "assistant", "content": "Ça va\u2009?"}]},
]


def save_model(folder):
    """A folder with a byte-level tokenizer, a chat template and a Llama of 30 thousand parameters."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        ["hello there"], trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet)
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def facts_of(model, rows, type, recipe, template=None, **changes):
    """Facts of rows as the workbench would gather them."""
    tokenizer = load_tokenizer(str(model))
    chosen = find(template or str(model)) if type in ("messages", "alpaca", "sharegpt") else None
    examples = [example for example, _ in convert_all(rows, type, {}) if example is not None]
    results = list(tokenize(examples, Setting(tokenizer, chosen, recipe.train_on, recipe.max_length)))
    assert all(isinstance(result, TokenizedExample) for result in results), results
    by_row = {example.row: example for example in examples}
    given = {
        "model": str(model),
        "tokenizer": str(model),
        "examples": [by_row[result.row] for result in results],
        "tokenized": results,
        "template": chosen,
        "special_tokens": special_tokens(tokenizer),
        "encode": lambda text: tokenizer(text, add_special_tokens=False)["input_ids"],
        "device": "cpu",
    }
    return ExportFacts(**{**given, **changes})
