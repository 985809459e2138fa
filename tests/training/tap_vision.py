"""A vision model from scratch: LLaVA of CLIP (32 px, patches of 8: 16 image tokens) and Llama, without torchvision."""

from __future__ import annotations

from typing import Any

import tap_trainers as trainers

COLOURS = ("red", "green", "blue", "yellow")
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{% generation %}"
    "{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endif %}"
    "<|im_end|>{% endgeneration %}\n{% else %}{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for p in m.content %}{% if p.type == 'image' %}<image>{% else %}{{ p.text }}{% endif %}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def processor() -> Any:
    from transformers import CLIPImageProcessorPil, LlavaProcessor

    tokenizer = trainers.tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    pixels = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    return LlavaProcessor(
        image_processor=pixels, tokenizer=tokenizer, patch_size=8, vision_feature_select_strategy="default",
        chat_template=TEMPLATE, image_token="<image>", num_additional_image_tokens=1,
    )  # fmt: skip


def model(made: Any) -> Any:
    import torch
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    torch.manual_seed(0)
    small = {"intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    eyes = CLIPVisionConfig(hidden_size=16, image_size=32, patch_size=8, projection_dim=16, **small)
    text = LlamaConfig(vocab_size=len(made.tokenizer), hidden_size=16, num_key_value_heads=2, **small)
    token = made.tokenizer.convert_tokens_to_ids("<image>")
    config = LlavaConfig(vision_config=eyes, text_config=text, image_token_index=token, vision_feature_layer=-2)
    config.pad_token_id = made.tokenizer.pad_token_id
    return LlavaForConditionalGeneration(config)


def sft(folder: Any, **more: Any) -> Any:
    from PIL import Image
    from trl import SFTConfig, SFTTrainer

    rows = [
        {"messages": [{"role": "user", "content": "What is this?"}, {"role": "assistant", "content": f"It is {c}."}],
         "images": [Image.new("RGB", (40, 30), c)]}
        for c in COLOURS
    ]  # fmt: skip
    made = processor()
    args = SFTConfig(**trainers.arguments(folder, max_steps=1, max_length=None, **more))
    return SFTTrainer(model=model(made), args=args, train_dataset=trainers.dataset(rows), processing_class=made)
