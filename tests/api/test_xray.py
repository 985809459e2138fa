"""`chat.render`, `chat.diff`, `enc[3].xray()`: they agree with apply_chat_template, and their code gives them again."""

import hashlib
import json

import jinja2
import pytest

import workbench as wb
from workbench.api.comm import answered
from workbench.errors import DataError, TemplateError
from workbench.tokens.encode import load_tokenizer
from workbench.views import TEMPLATE_MIME

ROWS = [
    {"messages": [{"role": "user", "content": f"Number {i}?"}, {"role": "assistant", "content": f"It is {i}."}]}
    for i in range(5)
]


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("tiny-llama")


@pytest.fixture(scope="module")
def enc():
    return wb.data(ROWS).encode("qwen2.5", tokenizer="tiny-llama")


@pytest.mark.parametrize("prompt", [False, True])
@pytest.mark.parametrize("name", ["one_turn", "several_turns", "system", "thinking", "tool_call"])
@pytest.mark.parametrize("template", ["qwen2.5", "qwen3", "llama3_2", "phi3", "cohere"])
def test_text_and_ids_are_those_of_apply_chat_template(tokenizer, template, name, prompt):
    said = getattr(wb.samples, name)
    chat = wb.template(template)
    options = {"chat_template": chat.info.source, "add_generation_prompt": prompt, "tools": said.tools}
    try:
        theirs = tokenizer.apply_chat_template(list(said), tokenize=False, **options)
    except (jinja2.TemplateError, TypeError, ValueError, LookupError):
        with pytest.raises(TemplateError):
            chat.render(said, tokenizer=tokenizer, add_generation_prompt=prompt)
        return
    ours = chat.render(said, tokenizer=tokenizer, add_generation_prompt=prompt)
    assert ours.text == theirs
    assert list(ours.tokens.input_ids) == tokenizer.apply_chat_template(list(said), return_dict=False, **options)
    assert json.loads(json.dumps(ours.to_dict()))["text"] == theirs


def test_samples_are_plain_messages_and_fresh():
    wb.samples.thinking[0]["content"] = "changed"
    assert wb.samples.thinking[0]["content"] == "You are a helpful cook."
    assert isinstance(wb.samples.tool_call, list)
    assert wb.samples.tool_call.tools[0]["function"]["name"] == "convert_temperature"
    assert [name for name in wb.samples if not getattr(wb.samples, name)] == []
    with pytest.raises(AttributeError, match="thinking"):
        _ = wb.samples.thinkng


def test_the_line_counts_sum_to_the_text(tokenizer):
    view = wb.template("qwen2.5").render(wb.samples.thinking, tokenizer=tokenizer).view()
    assert sum(view["made"]["characters"]) == view["rendering"]["characters"] == len(view["rendering"]["text"])
    assert sum(view["made"]["tokens"]) >= view["rendering"]["token_count"]
    assert sum(view["rendering"]["runs"]["length"]) == view["rendering"]["characters"]


def test_code_gives_the_same_text_again(enc):
    chat = wb.template("qwen3", tokenizer="tiny-llama")
    shown = [
        chat.render(wb.samples.thinking, add_generation_prompt=True),
        chat.render([{"role": "user", "content": "Hi"}]),
        chat.render(wb.samples.tool_call),
        enc[3].xray(add_generation_prompt=True),
        enc.xray(),
    ]
    for item in shown:
        names = {"wb": wb, "enc": enc}
        *before, last = item.code().splitlines()
        exec("\n".join(before), names)
        assert eval(last, names).text == item.text


def test_edited_template_has_code_that_gives_it_again(tokenizer):
    for name in ("qwen3", "gemma", "chatml"):
        chat = wb.template(name, tokenizer="tiny-llama")
        edits = [
            chat.info.source.replace("assistant", "model"),
            chat.info.source + "\n{# more #}",
            "\n" + chat.info.source,
            "\n".join(chat.info.source.split("\n")[2:]) or "{{ 1 }}",
            "{{ messages[0].content }}\n" + '"""' + "\\",
            chat.info.source.replace("\n", "\n\n", 3),
        ]
        card = chat.render(wb.samples.one_turn)
        for source in edits:
            view = answered(card, {"id": 1, "op": "xray", "conversation": "one_turn", "source": source})["view"]
            names = {"wb": wb}
            exec(view["code"].split("\nchat.render(")[0], names)
            assert names["chat"].info.source == source


def test_rows_are_reached_from_data_and_the_picker_knows_them(enc):
    shown = wb.template("qwen2.5").render(wb.data(ROWS), row=3)
    assert "It is 3." in shown.text
    bundle = enc[2].xray()._repr_mimebundle_()
    assert bundle[TEMPLATE_MIME]["rows"] == {"title": bundle[TEMPLATE_MIME]["rows"]["title"], "count": 5}
    fields = bundle[TEMPLATE_MIME]["view"]["rendering"]["fields"]
    assert "messages[1].content" in fields
    asked = {"id": 4, "op": "xray", "conversation": "row", "row": 4}
    assert "It is 4." in answered(enc[2].xray(), asked)["view"]["rendering"]["text"]
    gone = answered(enc[2].xray(), {**asked, "row": 99})["view"]
    assert gone["rendering"] is None
    assert gone["error"]["code"] == "WB553"


def test_labels_are_those_of_the_encoded_row(enc):
    assert enc[3].xray().labels == enc[3].labels
    assert enc[3].xray().tokens.input_ids == enc[3].input_ids


def test_what_is_no_conversation_is_refused_with_a_remedy():
    chat = wb.template("chatml")
    for said in (3, "hello", [1, 2], {"nothing": 1}):
        with pytest.raises((DataError, TemplateError)):
            chat.render(said)
    with pytest.raises(DataError, match="row=3"):
        chat.render(wb.data(ROWS))


def test_difference_of_two_templates_says_where_and_which_lines():
    chat = wb.template("qwen2_5")
    same = chat.diff("qwen2_5_training")
    assert (same.equal, same.at) == (True, None)
    assert repr(same).startswith("Equal")
    other = chat.diff("qwen3", conversation=wb.samples.thinking)
    assert not other.equal
    assert other.left.text[: other.at] == other.right.text[: other.at]
    assert other.left.text[other.at] != other.right.text[other.at]
    assert f"qwen3 line {other.right_line}" in repr(other)
    names = {"wb": wb}
    *before, last = other.code().splitlines()
    exec("\n".join(before), names)
    assert eval(last, names).at == other.at


def test_resolution_says_what_is_used_and_saved(enc):
    found = enc.template_resolution
    assert [claim.who for claim in found.claims] == ["tokenizer", "you"]
    assert found.used is found.saved is found.claims[1]
    assert found.saved.sha256 == wb.template("qwen2.5").info.sha256
    assert found.claims[0].first_difference is not None


def test_what_is_saved_is_what_the_run_is_given(enc):
    """job.json's chat_template, which training sets on the tokenizer it saves (training/trainer_setup.py)."""
    from workbench.training.trainer_setup import load_tokenizer as trained_with

    source = enc.setting.template.source
    recipe = wb.recipe(enc, model="tiny-llama")
    saved = trained_with({"model": "tiny-llama", "chat_template": source}, recipe.recipe)
    assert hashlib.sha256(saved.chat_template.encode()).hexdigest() == enc.template_resolution.saved.sha256


def test_a_template_in_the_data_is_named():
    rows = [{**row, "chat_template": "{{ messages[0].content }}"} for row in ROWS]
    found = wb.data(rows).encode("qwen2.5", tokenizer="tiny-llama").template_resolution
    claim = next(claim for claim in found.claims if claim.who == "dataset")
    assert (claim.used, claim.first_difference) == (False, 1)


def test_card_is_readable_without_script_and_loses_nothing_hostile():
    chat = wb.template("{{ messages[0].content }}<script>alert(1)</script>")
    html = chat.render([{"role": "user", "content": "<img src=x onerror=alert(2)>"}])._repr_mimebundle_()["text/html"]
    assert "<script" not in html and "<img" not in html
    assert "&lt;img src=x onerror=alert(2)&gt;" in html
