"""Tokenizer folders for the comparison: those of the test data, and copies with the marks other templates need."""

from pathlib import Path

CHATML = ("<|im_start|>", "<|im_end|>")
LLAMA3 = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
GEMMA = ("<start_of_turn>", "<end_of_turn>")
MISTRAL = ("<s>", "</s>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[AVAILABLE_TOOLS]")
COPIES = {
    "phi-3-mini+chatml": ("phi-3-mini", CHATML, {"eos_token": "<|im_end|>"}),
    "qwen2.5+llama3": ("qwen2.5", LLAMA3, {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}),
    "qwen2.5+mistral": ("qwen2.5", MISTRAL, {"bos_token": "<s>", "eos_token": "</s>"}),
    "metaspace+gemma": ("mistral-v1", GEMMA, {}),
}
"""Name of a copy -> the folder it is made from, tokens that are added, and what they are used as."""


def tokenizer_folder(name: str, testdata: Path, root: Path) -> Path:
    """Folder of a tokenizer; a copy is made in `root` where it is not there yet."""
    if name == "tiny-llama":
        from workbench.tokens.encode import load_tokenizer

        return Path(load_tokenizer("tiny-llama").name_or_path)
    if name not in COPIES:
        return testdata / "tokenizers" / name
    folder = root / name
    if not folder.is_dir():
        from transformers import AutoTokenizer

        source, tokens, used = COPIES[name]
        tokenizer = AutoTokenizer.from_pretrained(testdata / "tokenizers" / source)
        new = [token for token in tokens if token not in tokenizer.get_vocab()]
        tokenizer.add_special_tokens({"additional_special_tokens": new, **used}, replace_extra_special_tokens=False)
        tokenizer.save_pretrained(folder)
    return folder
