"""A sentence for every rule that decides whether a token is trained; the long form is docs/reasons.md."""

from __future__ import annotations

from workbench.types import Reason

SENTENCES: dict[Reason, str] = {
    Reason.ASSISTANT: "Trained: text of an assistant message.",
    Reason.ASSISTANT_TEMPLATE: "Trained: template text the model itself has to write in its turn.",
    Reason.STOP: "Trained: the token that ends the answer. Without it the model would not learn to stop.",
    Reason.COMPLETION: "Trained: the completion of a prompt.",
    Reason.SEGMENT: "Trained: this segment's label is true.",
    Reason.ALL: "Trained: the whole text is.",
    Reason.FLAG: "Trained: the row says train=true for this message.",
    Reason.HEADER: "Masked: the opening of the assistant's turn; at inference the prompt supplies it.",
    Reason.AFTER_STOP: "Masked: stands behind the stop token, where generation has ended.",
    Reason.OTHER_ROLE: "Masked: not the assistant's.",
    Reason.PROMPT: "Masked: belongs to the prompt.",
    Reason.EARLIER_TURN: 'Masked: train_on="last_assistant", and this is an earlier answer.',
    Reason.FLAG_OFF: "Masked: the row says train=false for this message.",
    Reason.SEGMENT_OFF: "Masked: this segment's label is false.",
    Reason.BETWEEN_TURNS: "Masked: template text outside any message's turn.",
    Reason.SPECIAL_ADDED: "Masked: added by the tokenizer, not by the template.",
    Reason.DOCUMENT_START: "Masked: first token of a packed document; nothing comes before it that could predict it.",
    Reason.PADDING: "Masked: padding.",
}
