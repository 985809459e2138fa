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
    Reason.HEADER: "The opening of the assistant's turn; at inference the prompt supplies it.",
    Reason.AFTER_STOP: "Stands behind the stop token, where generation has ended.",
    Reason.OTHER_ROLE: "Not the assistant's.",
    Reason.PROMPT: "Belongs to the prompt.",
    Reason.EARLIER_TURN: "An earlier answer, and train_on is last_assistant.",
    Reason.FLAG_OFF: "The row says train=false for this message.",
    Reason.SEGMENT_OFF: "This segment's label is false.",
    Reason.BETWEEN_TURNS: "Template text outside any message's turn.",
    Reason.SPECIAL_ADDED: "Added by the tokenizer, not by the template.",
    Reason.DOCUMENT_START: "First token of a packed document; nothing comes before it that could predict it.",
    Reason.PADDING: "Padding.",
}
