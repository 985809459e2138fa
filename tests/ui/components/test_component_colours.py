"""What tokens of the viewer are coloured by, and what its inspector says of them, on a bare page."""

import re

import pytest
from component_page import nodes_in, open_component
from looking import CURRENT, drawn, tokens_of
from payloads import COOK, long_row, packed, payload, row

pytestmark = pytest.mark.browser


def measured(**measures) -> dict:
    shown = row(COOK[:3])
    count = len(tokens_of(shown))
    return shown | {"measures": {name: values(count) for name, values in measures.items()}}


def ramp(low: float, high: float):
    return lambda count: [None, *[low + (high - low) * i / (count - 2) for i in range(count - 1)]]


# ---------------------------------------------------------------- colours


def test_colours_that_are_there_are_cycled_and_the_others_say_how_to_get_them(show):
    page = show(row(COOK[:3]))
    options = page.eval_on_selector_all(".wb-colourby option", "nodes => nodes.map(n => n.textContent)")
    assert options == [
        "Trained", "Role", "Source", "Document (packed batches)", "Reason",
        "Loss (needs scores)", "Probability (needs scores)", "Difference to base (needs scores)",
    ]  # fmt: skip
    page.select_option(".wb-colourby", "base_delta")
    assert page.inner_text(".wb-hint .wb-code pre") == "enc[0].score(model, base=other)"
    assert page.get_attribute(".wb-tokens", "data-colour") == "trained"
    assert page.input_value(".wb-colourby") == "trained"
    page.focus(CURRENT)
    seen = []
    for _ in range(4):
        page.keyboard.press("c")
        seen.append(page.get_attribute(".wb-tokens", "data-colour"))
    assert seen == ["role", "source", "reason", "trained"]


def test_every_reason_has_a_letter_where_it_begins_and_an_entry_in_the_legend(show):
    shown = row(COOK[:3])
    page = show(shown)
    page.select_option(".wb-colourby", "reason")
    names = shown["tables"]["reason"]
    reasons = [names[i] for i in shown["tokens"]["reason"]]
    starts = [i for i, reason in enumerate(reasons) if i == 0 or reasons[i - 1] != reason]
    order = list(dict.fromkeys(reasons))
    marks = page.eval_on_selector_all(
        ".wb-tline .wb-mk", "nodes => nodes.map(n => [Number(n.parentElement.dataset.i), n.textContent])"
    )
    assert marks == [[i, "abcdefgh"[order.index(reasons[i])]] for i in starts]
    legend = page.eval_on_selector_all(".wb-legs .wb-leg", "nodes => nodes.map(n => n.textContent)")
    assert legend == ["abcdefgh"[i] + reason.replace("_", " ") for i, reason in enumerate(order)]
    looks = page.eval_on_selector_all(
        ".wb-legs .wb-tok",
        "nodes => nodes.map(n => getComputedStyle(n).borderBottomStyle + getComputedStyle(n).backgroundColor)",
    )
    assert len(set(looks)) == len(looks)
    assert page.inner_text(".wb-code pre") == 'enc.look(row=0, colour_by="reason")'


def test_documents_have_a_number_each(show):
    shown = packed()
    page = show(shown, kind="batch")
    page.select_option(".wb-colourby", "document")
    marks = page.eval_on_selector_all(
        ".wb-tline .wb-mk", "nodes => nodes.map(n => [Number(n.parentElement.dataset.i), n.textContent])"
    )
    starts = [document["start"] for document in shown["documents"]]
    assert marks[:2] == [[starts[0], "1"], [starts[1], "2"]]
    page.focus(CURRENT)
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    assert "Document\n2" in page.inner_text(".wb-insp")


@pytest.mark.parametrize(
    ("by", "values", "steps", "legend"),
    [
        ("loss", ramp(0, 6), "wb-hot", "under 0.1"),
        ("probability", ramp(0, 1), "wb-cold", "under 2%"),
        ("base_delta", ramp(-3, 3), "wb-div", "under −2"),
    ],
)
def test_numbers_are_steps_on_trained_tokens_with_a_scale_and_the_number_itself(show, by, values, steps, legend):
    shown = measured(**{by: values})
    page = show(shown, colour_by=by)
    drawn_steps = dict(
        page.eval_on_selector_all(
            ".wb-tline [data-i]",
            "(nodes, stem) => nodes.map(n => [n.dataset.i, [...n.classList].find(c => c.startsWith(stem)) ?? null])",
            steps,
        )
    )
    trained = {str(i) for i, flag in enumerate(shown["tokens"]["trained"]) if flag}
    assert {i for i, step in drawn_steps.items() if step} == trained
    ordered = [int(re.sub(r"\D", "", drawn_steps[i])) for i in sorted(trained, key=int)]
    assert ordered == sorted(ordered) and len(set(ordered)) > 2
    assert page.inner_text(".wb-legs .wb-tok >> nth=0") == legend
    page.click(f".wb-tline [data-i='{max(trained, key=int)}']")
    said = page.inner_text(".wb-insp").replace("\n", " ")
    value = shown["measures"][by][int(max(trained, key=int))]
    assert {
        "loss": f"Loss {value:.2f} nats",
        "probability": f"Probability {value:.0%}",
        "base_delta": f"+{value:.2f} nats",
    }[by] in said


CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgb = (colour, under) => {
    canvas.fillStyle = under; canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const card = getComputedStyle(document.querySelector('.wb-card')).backgroundColor;
  return Math.min(...[...document.querySelectorAll('.wb-tline [data-i], .wb-legs .wb-tok')].map(node => {
    const style = getComputedStyle(node);
    const back = rgb(style.backgroundColor, card);
    const text = rgb(style.color, `rgb(${back.join(',')})`);
    const [a, b] = [light(back), light(text)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  }));
}"""


@pytest.mark.parametrize("dark", [False, True])
def test_text_has_contrast_on_every_step(show, dark):
    shown = measured(loss=ramp(0, 6), probability=ramp(0, 1), base_delta=ramp(-3, 3))
    page = show(shown)
    if dark:
        page.evaluate("document.documentElement.classList.add('wb-dark')")
    for by in ("trained", "role", "source", "reason", "loss", "probability", "base_delta"):
        page.select_option(".wb-colourby", by)
        assert page.evaluate(CONTRAST) >= 4.5, by


# ---------------------------------------------------------------- inspector


def test_a_token_names_its_field_with_offsets_and_the_part_of_the_line_that_wrote_it(show):
    shown = row(COOK[:3])
    content = shown["tables"]["field"].index("messages[2].content")
    first = shown["tokens"]["field"].index(content)
    start = shown["tokens"]["start"][first]
    shown["sources"] = [[start, start + len(COOK[2][1]), content, 0]]
    page = show(shown)
    page.click(f".wb-tline [data-i='{first + 1}']")
    token = tokens_of(shown)[first + 1]
    at = len(tokens_of(shown)[first])
    said = page.inner_text(".wb-insp").replace("\n", " ")
    assert f"messages[2].content, characters {at} to {at + len(token)}" in said
    assert page.inner_text(".wb-insp .wb-wrote") == "message.content"


def test_a_token_of_data_and_template_is_named_as_straddling(show):
    shown = row(COOK[:3])
    content = shown["tables"]["field"].index("messages[2].content")
    first = shown["tokens"]["field"].index(content)
    start = shown["tokens"]["start"][first]
    shown["sources"] = [[start + 2, start + 80, content, 0]]
    page = show(shown)
    page.click(f".wb-tline [data-i='{first}']")
    parts = page.eval_on_selector_all(".wb-straddle li", "nodes => nodes.map(n => n.textContent)")
    assert parts == ["template text", "messages[2].content, characters 0 to 3"]


@pytest.mark.parametrize(
    ("text", "cuts"),
    [
        ("\U0001f469\u200d\U0001f373", [["f0 9f 91", "a9"], ["e2 80", "8d"], ["f0 9f 8d", "b3"]]),
        ("\u672c", [["e6", "9c ac"]]),
        ("\u0643", [["d9", "83"]]),
        ("\u0301", [["cc", "81"]]),
        ("\u201c", [["e2 80", "9c"]]),
    ],
)
def test_parts_of_a_character_stand_together_and_are_named_with_it(show, text, cuts):
    shown = row([("assistant", "ab")])
    at = tokens_of(shown).index("ab")
    pieces = [(part, group, n == len(parts) - 1) for group, parts in enumerate(cuts) for n, part in enumerate(parts)]
    columns = shown["tokens"]
    start = columns["start"][at]
    for name in columns:
        columns[name][at : at + 1] = [columns[name][at]] * len(pieces)
    for n, (part, group, _) in enumerate(pieces):
        columns["text"][at + n], columns["bytes"][at + n] = "", part
        columns["start"][at + n], columns["end"][at + n] = start + group, start + group + 1
    shown["segments"][0]["end"] = len(columns["id"])
    page = show(shown)
    chips = page.eval_on_selector_all(
        ".wb-tline .wb-bytes",
        """nodes => nodes.map(n =>
          [n.firstChild.textContent, n.querySelector('.wb-char')?.textContent ?? null, n.className])""",
    )
    assert [chip[0] for chip in chips] == [part for part, _, _ in pieces]
    named = [chip[1] for chip in chips]
    assert [name is not None for name in named] == [last for _, _, last in pieces]
    shown_as = {"\u200d": "ZWJ", "\u0301": "\u25cc\u0301"}
    assert [name for name in named if name] == [shown_as.get(char, char) for char in text]
    assert all("wb-b-last" in chip[2] for chip in chips if chip[1]) and all(
        "wb-b-first" in chip[2] for chip in chips if not chip[1]
    )
    page.click(f".wb-tline [data-i='{at}']")
    assert f"part 1 of 2 of \u201c{shown_as.get(text[0], text[0])}\u201d" in page.get_attribute(CURRENT, "aria-label")


# ---------------------------------------------------------------- long rows


def test_a_row_of_100000_tokens_is_coloured_in_under_a_thousand_nodes(show):
    page = show(long_row(100_000))
    page.select_option(".wb-colourby", "reason")
    for share in (0.3, 0.9):
        page.eval_on_selector(".wb-toks", "(node, share) => { node.scrollTop = share * node.scrollHeight; }", share)
        drawn(page)
        assert nodes_in(page, ".wb-card") <= 1000


def test_letters_and_steps_are_told_without_colours(browser, widgets):
    context = browser.new_context(forced_colors="active")
    page = context.new_page()
    open_component(page, widgets, "tokens", {"payload": payload([measured(loss=ramp(0, 6))], colour_by="loss")})
    thick = page.eval_on_selector_all(
        ".wb-tline .wb-trained", "nodes => nodes.map(n => getComputedStyle(n).borderBottomWidth)"
    )
    assert len(set(thick)) >= 3
    context.close()
