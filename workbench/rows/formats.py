"""The table of dataset types: one literal entry a type, read by detection, conversion and the documentation.

    FORMATS["alpaca"].columns  ->  instruction, input?, output, system?, history?

To add a type: one `Format` here, one converter in the module `workbench.rows.convert` lists for its family, one test.

Sources: axolotl 0.19 `prompt_strategies`, TRL 1.16 dataset formats, LLaMA-Factory `dataset_info.json` (read only).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from workbench.errors import DataError
from workbench.rows.format_entry import ASK, CHATS, SAID, SAY, SYSTEM, TOOLS, Column, Format, Variant, may, need
from workbench.rows.preference_formats import PREFERENCES

__all__ = ["FORMATS", "Column", "Format", "Variant", "format_named"]


_TABLE = (
    # Conversations
    Format(
        "messages",
        "chat messages with role and content (OpenAI style), with or without tools",
        (need("messages", "messages", CHATS, by_shape=True), SYSTEM, TOOLS),
        "assistant messages, unless a message says otherwise with `train` or `weight`",
        axolotl="chat_template",
        trl="language modeling, conversational",
        llama_factory="openai",
        example={"messages": [ASK, SAY]},
        variants=(Variant("messages.chat", "messages, weight?", "one flag a message"),),
    ),
    Format(
        "sharegpt",
        "chat turns with from and value (ShareGPT style)",
        (need("conversations", "turns", "conversation messages chat dialogue", by_shape=True), SYSTEM, TOOLS),
        "gpt turns, function calls included",
        axolotl="chat_template with field_messages: conversations and message_property_mappings",
        trl="conversations with from and value (roles are not mapped there)",
        llama_factory="sharegpt",
        example={"conversations": [{"from": "human", "value": "What is 2+2?"}, {"from": "gpt", "value": "4"}]},
        variants=(Variant("pygmalion", "conversations", "role and value; written as <|system|>, <|user|>, <|model|>"),),
    ),
    Format(
        "conversation_pairs",
        "turns as pairs of human and assistant text (ms-swift)",
        (need("conversation", "human_assistant", "conversations", by_shape=True), SYSTEM),
        "the assistant texts",
        example={"conversation": [{"human": "2+2?", "assistant": "4"}]},
    ),
    Format(
        "glaive_text",
        "a whole conversation as one text with USER: and ASSISTANT: marks (glaive function calling v2)",
        (may("system", "text"), need("chat", "marked_chat", "conversation text", by_shape=True)),
        "the ASSISTANT parts",
        example={"system": "SYSTEM: Be brief.", "chat": "USER: 2+2? ASSISTANT: 4 <|endoftext|>"},
        precedence=2,
    ),
    Format(
        "hermes_text",
        "a whole tool conversation as one text with SYSTEM:, USER:, ASSISTANT: and <tool_call> marks (Hermes)",
        (need("example", "marked_tools", "text chat", by_shape=True),),
        "the ASSISTANT parts, calls included",
        example={
            "example": "SYSTEM: <tools>[]</tools>\nUSER: 2+2?\nASSISTANT: <tool_call>\n{'name': 'add', 'arguments': "
            "{'a': 2, 'b': 2}}\n</tool_call>\nTOOL: <tool_response>\n4\n</tool_response>\nASSISTANT: 4"
        },
        precedence=3,
    ),
    Format(
        "bfcl",
        "questions with the functions that may answer them, and the calls where they are known (BFCL)",
        (
            need("question", "message_lists messages"),
            need("function", "objects object", "functions tools"),
            may("ground_truth", "objects texts", "possible_answer answer"),
        ),
        "the calls; nothing where there are none",
        example={
            "question": [[ASK]],
            "function": [{"name": "add", "parameters": {"type": "dict", "properties": {}}}],
            "ground_truth": [{"add": {"a": [2], "b": [2]}}],
        },
        precedence=3,
    ),
    Format(
        "oasst_flat",
        "one message a row, joined into trees by parent_id (Open Assistant export)",
        (
            need("message_id", "text"),
            need("parent_id", "text null"),
            need("text", "text"),
            need("role", "text"),
        ),
        "assistant messages, after every path from a root to a leaf is made a conversation",
        example={"message_id": "b", "parent_id": None, "text": "2+2?", "role": "prompter"},
        precedence=3,
        joined=True,
    ),
    Format(
        "oasst_tree",
        "one tree of messages a row (Open Assistant export)",
        (need("prompt", "tree", "root", by_shape=True),),
        "assistant messages, after every path from the root to a leaf is made a conversation",
        example={"prompt": {"text": "2+2?", "role": "prompter", "replies": [{"text": "4", "role": "assistant"}]}},
        precedence=3,
        joined=True,
    ),
    # Instruction and answer
    Format(
        "alpaca",
        "instruction, optional input, and output",
        (
            need("instruction", "text", "question query prompt input user message_1 problem"),
            need("output", "text", "response answer completion target message_2 generation solution"),
            may("input", "text", "context"),
            SYSTEM,
            may("history", "pairs"),
        ),
        "the output",
        axolotl="alpaca",
        trl="prompt-completion, after renaming",
        llama_factory="alpaca",
        example={"instruction": "Add the numbers.", "input": "2 and 2", "output": "4"},
        template="alpaca",
        variants=(
            Variant("alpaca:chat", "instruction, input?, output", "template `alpaca_chat`"),
            Variant("alpaca:chatml", "instruction, input?, output", "template `alpaca_chatml`"),
            Variant("alpaca:phi", "instruction, input?, output", "template `alpaca_phi`"),
            Variant("alpaca_chat.load", "instruction, input?, output", "template `alpaca_chat`"),
            Variant("alpaca_chat.load_qa", "question, answer", "template `alpaca_concise`"),
            Variant("alpaca_chat.load_concise", "instruction, input?, output", "template `alpaca_concise`"),
            Variant("alpaca_chat.load_camel_ai", "message_1, message_2", "template `alpaca_concise`"),
            Variant("alpaca_chat.load_no_prompt", "instruction, input?, output", "template `alpaca_w_system`"),
            Variant("alpaca_instruct.load", "instruction, input?, output"),
            Variant(
                "alpaca_instruct.load_no_prompt", "instruction, input?, output", "template `alpaca_instruct_w_system`"
            ),
            Variant("alpaca_w_system", "instruction, input?, output, system", "template `alpaca_w_system`"),
            Variant(
                "alpaca_w_system.load_instruct",
                "instruction, input?, output, system",
                "template `alpaca_instruct_w_system`",
            ),
            Variant("alpaca_w_system.load_open_orca", "system_prompt, question, response", "template `open_orca`"),
            Variant(
                "alpaca_w_system.load_open_orca_chatml",
                "system_prompt, question, response",
                "template `open_orca_chatml`",
            ),
            Variant("orcamini", "system_prompt, question, response", "template `orcamini`"),
            Variant("gpteacher", "instruction, input?, response"),
            Variant("oasst", "INSTRUCTION, RESPONSE"),
        ),
    ),
    Format(
        "user_defined",
        "instruction, input, output and system in columns of any name, worded by formats of your own",
        (
            need("instruction", "text", "question query prompt"),
            need("output", "text", "response answer completion"),
            may("input", "text"),
            SYSTEM,
        ),
        "the output",
        axolotl="a mapping with field_instruction, field_input, field_output, field_system, format, no_input_format",
        example={"instruction": "Add the numbers.", "input": "2 and 2", "output": "4"},
        precedence=-1,
    ),
    Format(
        "prompt_completion",
        "a prompt and its completion, as text or as two lists of messages",
        (need("prompt", "text messages"), need("completion", "text messages"), TOOLS),
        "the completion",
        trl="prompt-completion",
        llama_factory="alpaca with columns prompt: prompt, response: completion",
        example={"prompt": "The sky is", "completion": " blue."},
        precedence=1,
    ),
    Format(
        "metharme",
        "a prompt and its generation, with metharme's marks in the text",
        (need("prompt", "marked_metharme"), need("generation", "text")),
        "the generation, with three EOS behind it in axolotl",
        axolotl="metharme",
        example={"prompt": "<|system|>Be brief.<|user|>2+2?<|model|>", "generation": "4"},
        precedence=1,
    ),
    Format(
        "reflection",
        "an answer, a reflection on it, and the corrected answer",
        (
            need("instruction", "text"),
            need("output", "text"),
            need("reflection", "text"),
            need("corrected", "text"),
            may("input", "text"),
        ),
        "the answer, the reflection and the correction",
        axolotl="reflection",
        example={"instruction": "2+2?", "output": "5", "reflection": "Off by one.", "corrected": "4"},
        template="alpaca_instruct_w_system",
        precedence=2,
        variants=(
            Variant(
                "reflection:instruct", "instruction, input?, output, reflection, corrected", "template `reflection`"
            ),
        ),
    ),
    Format(
        "choice",
        "a question with choices and the answer",
        (need("question", "text"), need("choices", "texts"), need("solution", "text", "explanation answer")),
        "the answer",
        axolotl="explainchoice",
        example={"question": "2+2?", "choices": ["3", "4"], "solution": "4"},
        template="alpaca_choice",
        precedence=2,
        variants=(Variant("concisechoice", "question, choices, solution", "template `alpaca_choice_concise`"),),
    ),
    Format(
        "summarize",
        "an article and its summary",
        (need("article", "text", "document dialogue text"), need("summary", "text", "highlights")),
        "the summary",
        axolotl="summarizetldr",
        example={"article": "Two and two were added. The result was four.", "summary": "2+2=4"},
        template="summarize",
        precedence=2,
    ),
    Format(
        "context_qa",
        "a text, a question about it, and the answer",
        (need("context", "text", "article passage"), need("question", "text"), need("answer", "text")),
        "the answer",
        axolotl="context_qa",
        example={"context": "Two and two is four.", "question": "2+2?", "answer": "4"},
        template="context_qa",
        precedence=2,
        variants=(Variant("context_qa.load_v2", "context, question, answer", "template `context_qa_v2`"),),
    ),
    Format(
        "context_404",
        "a text and a question it does not answer",
        (need("article", "text", "context"), need("unanswerable_question", "text")),
        "that the text does not say",
        axolotl="context_qa.load_404",
        example={"article": "Two and two is four.", "unanswerable_question": "3+3?"},
        template="context_qa",
        precedence=2,
    ),
    Format(
        "jeopardy",
        "a clue, its category and the answer",
        (need("question", "clue", "clue"), need("category", "short"), need("answer", "short")),
        'the answer, with "what is " before it',
        axolotl="jeopardy",
        example={"question": "It is 2+2.", "category": "Sums", "answer": "four"},
        template="alpaca",
        precedence=2,
    ),
    Format(
        "creative_answer",
        "a task and the revised answer, out of a draft, its critique and its revision",
        (need("instruction", "text"), need("revision", "text")),
        "the answer the row has in the end",
        axolotl="creative_acr.load_answer",
        example={"instruction": "Praise four.", "revision": "O four!"},
        template="creative_answer",
        precedence=2,
    ),
    Format(
        "creative_critique",
        "a task, a draft, and a critique with scores",
        (
            need("instruction", "text"),
            need("answer", "text"),
            need("critiques", "object text texts objects"),
            need("scores", "object text number numbers objects"),
            may("revision", "text"),
        ),
        "the scores and the critique; the revision where the row has one",
        axolotl="creative_acr.load_critique",
        example={
            "instruction": "Praise four.",
            "answer": "Four.",
            "critiques": {"style": "Too short."},
            "scores": {"style": 3},
        },
        template="alpaca_w_system",
        precedence=3,
        variants=(Variant("creative_acr.load_revise", "instruction, answer, critiques, scores, revision"),),
    ),
    # Text and tokens
    Format(
        "text",
        "plain text, nothing masked",
        (need("text", "text", "content document response:alone"),),
        "everything",
        axolotl="completion",
        trl="language modeling, standard",
        llama_factory="alpaca with stage pt",
        example={"text": "The sky is blue."},
        variants=(Variant("pretrain", "text", "streamed, under pretraining_dataset"),),
    ),
    Format(
        "input_output",
        "pieces of text, each with a label that says whether it is trained; no template",
        (need("segments", "segments", by_shape=True),),
        "segments with label true",
        axolotl="input_output",
        example={"segments": [{"label": False, "text": "<s>2+2? "}, {"label": True, "text": "4</s>"}]},
    ),
    Format(
        "pretokenized",
        "token ids, made elsewhere",
        (need("input_ids", "numbers"), may("labels", "numbers"), may("attention_mask", "numbers")),
        "tokens whose label is not -100",
        axolotl="empty type, with input_ids, attention_mask, labels",
        trl="pre-tokenized",
        example={"input_ids": [1, 2, 3], "attention_mask": [1, 1, 1], "labels": [-100, 2, 3]},
        precedence=4,
    ),
    # Images
    Format(
        "vision",
        "messages or questions with images",
        (
            need("messages", f"{SAID} image_messages", f"{CHATS} query prompt question instruction text"),
            may("images", "texts objects text object binary", "image"),
            may("answer", "text", "response output caption"),
            SYSTEM,
            may("history", "pairs"),
            TOOLS,
        ),
        "the answers",
        axolotl="chat_template with processor_type",
        trl="conversational, with images",
        llama_factory="columns.images",
        example={"messages": [{"role": "user", "content": "<image>What is it?"}, SAY], "images": ["cat.png"]},
        precedence=3,
        proofs=(("messages", "image_messages"), ("images", "pictures"), ("images", "picture")),
    ),
    Format(
        "prefix_suffix",
        "an image, a prefix and a suffix (PaliGemma)",
        (need("image", "text object binary", "images"), need("prefix", "text"), need("suffix", "text", "label")),
        "the suffix",
        example={"image": "cat.png", "prefix": "caption en", "suffix": "A cat."},
        precedence=4,
        proofs=(("image", "picture"), ("image", "pictures")),
    ),
    *PREFERENCES,
)

FORMATS: Mapping[str, Format] = {entry.name: entry for entry in _TABLE}
"""Every dataset type by name."""


def format_named(name: str) -> Format:
    """The type of that name.

    Raises:
        DataError: For an unknown name (WB556).
    """
    if name not in FORMATS:
        near = difflib.get_close_matches(name, FORMATS, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(FORMATS)}."
        raise DataError(f"There is no dataset type {name!r}.", remedy=hint, code="WB556")
    return FORMATS[name]
