"""What of axolotl is not compared, and what it refuses itself."""

from collections.abc import Mapping

from axolotl_case import Case

NOT_COMPARED = {
    "_synthetic.load": "draws random ids and reads no rows",
    "pretrain.load": "streamed under pretraining_dataset, in windows that overlap",
    "llama2_chat.load": "pads every row to sequence_len and masks most rows whole (tokenization mismatch)",
    "bradley_terry.llama3.icr": "cannot be named: the loader looks for `load` in its module",
    **{
        f"ebft.{name}": "rl: ebft has no counterpart here"
        for name in (
            "ebft_chat_multiturn.transform",
            "ebft_chat_multiturn.transform_all_turns",
            "ebft_chat_multiturn.transform_last_turn",
            "ebft_opencode.transform",
            "ebft_pretrain.transform",
            "ebft_reasoning.transform",
            "ebft_reasoning.transform_answer_only",
            "ebft_reasoning.transform_split_thinking",
            "ebft_reasoning.transform_strided",
            "ebft_strided_chat.transform",
            "ebft_strided_structured.transform",
        )
    },
}
"""Functions of axolotl's that a type can name, or seems to, and that no case compares; a test holds it complete."""
REFUSED = {
    "sharegpt": ({"type": "sharegpt"}, {}, "sharegpt"),
    "alpaca:load_no_prompt": ({"type": "alpaca:load_no_prompt"}, {}, "instruct"),
    "bradley_terry.llama3": ({"type": "bradley_terry.llama3"}, {"reward_model": True}, "bradley_terry"),
    "dpo: chatml.argilla": ({"type": "chatml.argilla"}, {"rl": "dpo"}, "pair_instruction"),
    "dpo: llama3.argilla": ({"type": "llama3.argilla"}, {"rl": "dpo"}, "pair_instruction"),
    "phi_4": ({"type": "chat_template"}, {"chat_template": "phi_4"}, "messages"),
}
"""Types and templates that are documented, shipped or well known, and that axolotl 0.19.0 refuses."""


def function_of(case: Case) -> str | None:
    """The function of axolotl's that a case reaches, as its oracle names it; None where the type is empty."""
    kind, rl = case.axolotl.get("type"), case.config.get("rl")
    if rl:
        return f"{rl}.user_defined.default" if isinstance(kind, Mapping) else f"{rl}.{kind}" if kind else None
    if isinstance(kind, Mapping):
        return "user_defined.load"
    if not kind:
        return None
    base = str(kind).split(":")[0]
    return base if base in HANDLERS or ".load" in base else f"{base}.load"


HANDLERS = "alpaca explainchoice concisechoice summarizetldr jeopardy oasst gpteacher reflection".split()
