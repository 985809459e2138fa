"""A sentence for every rule that decides whether a token is trained; the long form is docs/reasons.md."""

from __future__ import annotations

from workbench.types import Reason

SENTENCES: dict[Reason, str] = {
    Reason.ASSISTANT: "Text of an assistant message.",
    Reason.ASSISTANT_TEMPLATE: "Template text the model itself has to write in its turn.",
    Reason.STOP: "The token that ends the answer. Without it the model would not learn to stop.",
    Reason.COMPLETION: "The completion of a prompt.",
    Reason.SEGMENT: "This segment's label is true.",
    Reason.ALL: "The whole text is.",
    Reason.FLAG: "The row says train=true for this message.",
    Reason.ROLE: "Its role is in roles_to_train.",
    Reason.INPUT: "train_on_inputs trains what every role says.",
    Reason.SPAN: "The row marks these characters as trained.",
    Reason.GIVEN: "The row came tokenized, with this label.",
    Reason.LABEL: "The trainer gave it this label.",
    Reason.STEP: "The end of a reasoning step; its label says whether the step is right.",
    Reason.SCORED: "The reward model's head reads its score here; the loss compares the two scores of a pair.",
    Reason.HEADER: "The opening of the assistant's turn; at inference the prompt supplies it.",
    Reason.AFTER_STOP: "Stands behind the stop token, where generation has ended.",
    Reason.OTHER_ROLE: "Its role is not trained.",
    Reason.PROMPT: "Belongs to the prompt.",
    Reason.EARLIER_TURN: "An earlier answer, and train_on is last_assistant.",
    Reason.FLAG_OFF: "The row says train=false for this message.",
    Reason.SEGMENT_OFF: "This segment's label is false.",
    Reason.STOP_OFF: "A stop token that train_on_eos or train_on_eot leaves out.",
    Reason.SPAN_OFF: "The row marks parts of this text, and these characters are not among the trained ones.",
    Reason.PREFILL: "The beginning of the answer, which inference supplies.",
    Reason.GIVEN_OFF: "The row came tokenized, with label -100 here.",
    Reason.LABEL_OFF: "The trainer gave it the label -100.",
    Reason.STEP_TEXT: "The text of a reasoning step; only its end carries a label.",
    Reason.NOT_SCORED: "The reward model reads it; only the end of the text is scored.",
    Reason.MISMATCHED: "A prompt with another prompt's answer: it estimates the KL term and has no gradient.",
    Reason.LEFT_OUT: "The trainer takes it out of the loss: a cut completion, or a tool's text.",
    Reason.MEDIA: "Stands for an image.",
    Reason.BETWEEN_TURNS: "Template text outside any message's turn.",
    Reason.SPECIAL_ADDED: "Added by the tokenizer, not by the template.",
    Reason.DOCUMENT_START: "First token of a packed document; nothing comes before it that could predict it.",
    Reason.PADDING: "Padding.",
}
