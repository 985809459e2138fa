"""Payloads of the rollouts card, built by hand out of the rows of the viewer's tests."""

from typing import Any

from payloads import REASONS, row

ANSWERS = (("In house 7.", 0.2), ("It lives in house 7, next to the baker.", 0.9), ("Who?", -1.1), ("House", 0.0))


def completion(index: int, text: str, advantage: float, **members: Any) -> dict[str, Any]:
    """One completion; its reward is its advantage plus one."""
    made = row([("assistant", text)], index)
    length = len(made["tokens"]["id"])
    made["tokens"]["trained"] = [1] * length
    made |= {"title": f"completion {index}", "row": None, "measures": {"advantage": [advantage] * length}}
    base = {
        "index": index,
        "row": made,
        "reward": advantage + 1,
        "rewards": [advantage + 1, None],
        "advantage": advantage,
        "tokens": length,
        "trained": length,
        "ended": "cut" if index == 3 else "stop",
        "steps": [1],
    }
    return base | members


def group(position: int = 0, answers: Any = ANSWERS, **members: Any) -> dict[str, Any]:
    """A prompt with its completions."""
    base = {
        "position": position,
        "title": f"Prompt {position}",
        "prompt": row([("user", f"Where does Kipwick live, {position}?")]),
        "mean": 1.0,
        "std": 0.8,
        "planned": 4,
        "completions": [completion(i, text, value) for i, (text, value) in enumerate(answers)],
        "findings": [],
    }
    return base | members


def rollouts_payload(groups: list[dict[str, Any]], **members: Any) -> dict[str, Any]:
    """A payload around groups."""
    done = [item for shown in groups for item in shown["completions"]]
    base = {
        "version": 1,
        "handle": None,
        "title": "Rollouts of step 1",
        "subtitle": "GRPOTrainer, received by forward(), tokenizer tiny",
        "group_count": len(groups),
        "first": groups[0]["position"],
        "groups": groups,
        "reward_functions": [{"name": "length", "weight": 1.0}, {"name": "vowels", "weight": 0.5}],
        "totals": {
            "groups": len(groups),
            "completions": len(done),
            "tokens": sum(item["tokens"] for item in done),
            "flat": 0,
            "cut": sum(item["ended"] == "cut" for item in done),
        },
        "reasons": REASONS,
        "badge": None,
        "code": "tap.batches[0]",
    }
    return base | members
