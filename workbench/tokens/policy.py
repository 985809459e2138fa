"""Which turns are trained, and why: the row's own word first, then `train_on` and the options.

    verdicts(rendered, policy) -> ((False, OTHER_ROLE), (True, ASSISTANT), …)

Order per turn: the row's flag (`train: true`), the parts the row marks, `train_on` and `roles_to_train`, and where
these leave a turn out, `train_on_inputs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from workbench.errors import MaskError
from workbench.options import TrainOnEnd
from workbench.types import CharSpan, Reason, Rendered, TrainOn, Turn

PLAIN_ROLES = {"text": Reason.ALL, "completion": Reason.COMPLETION, "prompt": Reason.PROMPT}
"""Roles of rows that are no conversations, and the reason their text carries."""

Verdict = tuple[bool, Reason]


@dataclass(frozen=True, slots=True)
class Rules:
    """What the options say, the same for every row.

    Attributes:
        roles: Roles that are trained, as chat templates know them.
        train_on_inputs: Train what every role says.
        eos, eot: Which stop tokens are trained: EOS, and the others that end a turn.
        eot_ids: Tokens that end a turn, beside EOS; empty where the template's own choice is taken.
        media_ids: Tokens that stand for an image; never trained.
    """

    roles: frozenset[str] = frozenset({"assistant"})
    train_on_inputs: bool = False
    eos: TrainOnEnd = "turn"
    eot: TrainOnEnd = "turn"
    eot_ids: frozenset[int] = frozenset()
    media_ids: frozenset[int] = frozenset()


DEFAULT_RULES = Rules()


@dataclass(frozen=True, slots=True)
class MaskPolicy:
    """What is trained, and which token ids are special.

    Attributes:
        completion_from: First message of the completion, for conversational prompt/completion rows.
        rules: What the options say.
        spans: Characters the row marks as trained or not, by the path of their text.
        whole: Train everything behind the prompt, as trainers of pairs do (trl 1.16, dpo_trainer.py and
            kto_trainer.py, tokenize_fn): no rule of this module but `completion_from` counts then.
    """

    train_on: TrainOn
    special_ids: frozenset[int]
    eos_id: int | None
    completion_from: int | None = None
    rules: Rules = DEFAULT_RULES
    spans: Mapping[str, tuple[CharSpan, ...]] = field(default_factory=dict[str, "tuple[CharSpan, ...]"])
    whole: bool = False


def verdicts(rendered: Rendered, policy: MaskPolicy) -> list[Verdict]:
    """Whether each turn is trained, and why, before the parts a row marks are looked at.

    Raises:
        MaskError: WB110 when `train_on="completion"` meets a conversation without a completion.
    """
    last = max((turn.message for turn in rendered.turns if turn.role == "assistant"), default=-1)
    return [_verdict(turn, policy, last) for turn in rendered.turns]


def _verdict(turn: Turn, policy: MaskPolicy, last: int) -> Verdict:
    if turn.role == "segment":
        said = (True, Reason.SEGMENT) if turn.train else (False, Reason.SEGMENT_OFF)
    elif turn.role in PLAIN_ROLES:
        said = turn.role != "prompt", PLAIN_ROLES[turn.role]
    elif turn.train is not None:
        if turn.train:
            return True, Reason.ASSISTANT if turn.role == "assistant" else Reason.FLAG
        return False, Reason.FLAG_OFF
    else:
        said = _by_role(turn, policy, last)
    return (True, Reason.INPUT) if policy.rules.train_on_inputs and not said[0] else said


def _by_role(turn: Turn, policy: MaskPolicy, last: int) -> Verdict:
    if turn.role not in policy.rules.roles:
        return False, Reason.OTHER_ROLE
    if turn.role != "assistant":
        is_prompt = policy.completion_from is not None and turn.message < policy.completion_from
        return (False, Reason.PROMPT) if policy.train_on == "completion" and is_prompt else (True, Reason.ROLE)
    if policy.train_on == "last_assistant":
        return (True, Reason.ASSISTANT) if turn.message == last else (False, Reason.EARLIER_TURN)
    if policy.train_on == "completion":
        if policy.completion_from is None:
            raise MaskError(
                'train_on="completion" needs rows with a prompt and a completion; this is a conversation.',
                remedy='Use train_on="assistant" or "last_assistant".',
                code="WB110",
            )
        return (True, Reason.COMPLETION) if turn.message >= policy.completion_from else (False, Reason.PROMPT)
    return True, Reason.ASSISTANT
