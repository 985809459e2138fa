"""What the card shows, and what its buttons and keys do."""

import pytest
from card_page import event, mount, points, push, server, wait_for, wait_state

pytestmark = pytest.mark.browser

HOSTILE = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>'


def test_what_is_new_since_the_column_before_is_underlined(page, payload):
    shown = payload(10)
    shown["snapshot"]["samples"] = [
        {"prompt": 0, "step": 0, "text": "A cook can use it.", "stopped": True, "base": True},
        {"prompt": 0, "step": 20, "text": "A cook can eat it now.", "stopped": True, "base": False},
        {"prompt": 0, "step": 40, "text": "A cook can eat it now.", "stopped": True, "base": False},
        {"prompt": 0, "step": 60, "text": "It is. It is. It is. It is.", "stopped": False, "base": False},
    ]
    mount(page, shown, inert=True)
    page.wait_for_selector(".wb-grid")
    cells = page.locator(".wb-grid tbody tr:first-child td")
    assert cells.nth(0).locator("ins").count() == 0
    assert cells.nth(1).locator("ins").all_text_contents() == ["eat", "now"]
    assert cells.nth(2).locator(".wb-d").text_content() == "same as before"
    assert cells.nth(3).locator(".wb-d").text_content() == "repeats, no stop token"


def test_hostile_text_stays_text(page, payload):
    shown = payload(10)
    shown["name"] = HOSTILE
    shown["snapshot"]["prompts"] = [HOSTILE]
    shown["snapshot"]["samples"] = [{"prompt": 0, "step": 0, "text": HOSTILE, "stopped": True, "base": True}]
    card = mount(page, shown)
    push(
        page,
        card,
        [
            event("warning", code="WB402", message=HOSTILE),
            event(
                "sample_start",
                sample="q",
                prompt=None,
                messages=[{"role": "user", "content": f"{HOSTILE}?"}],
                step=10,
                base=False,
                cmd="c",
                origin="command",
            ),
            event("token", sample="q", text=HOSTILE),
            event(
                "batch",
                step=1,
                micro=0,
                agrees=False,
                difference={"key": HOSTILE, "index": [0, 1], "ours": 1, "theirs": HOSTILE},
            ),
            event("ack", cmd="c", op=HOSTILE, status="refused", error=HOSTILE),
            event("state", state="failed", step=10, error=HOSTILE, log_tail=HOSTILE),
        ],
    )
    wait_state(page, "failed")
    assert page.locator(".wb-run img, .wb-run script").count() == 0
    assert page.title() == "Run card"
    assert page.text_content(".wb-log") == HOSTILE
    assert page.locator(".wb-grid td p").text_content() == HOSTILE
    assert page.locator(".wb-ans .wb-live p").text_content() == HOSTILE
    assert HOSTILE in page.text_content(".wb-warnings")


def test_stop_asks_once_and_posts_a_command(page, payload):
    card = mount(page, payload(10))
    page.click("text=Stop and save")
    assert server(page, card, "server.commands") == []
    assert page.evaluate("document.activeElement.textContent") == "Keep training"
    page.click("text=Keep training")
    assert server(page, card, "server.commands") == []
    page.click(".wb-buttons >> text=Stop and save")
    page.click(".wb-question >> text=Stop and save")
    wait_for(page, "cards.server(0).commands.length === 1")
    assert server(page, card, "server.commands") == [{"op": "stop", "save": True}]
    assert page.text_content(".wb-code pre") == 'run = wb.attach("0007-k3f9")\nrun.stop()'
    push(page, card, [event("state", state="stopping", step=11), event("state", state="stopped", step=11)])
    wait_state(page, "stopped")
    assert page.text_content(".wb-state").strip() == "Stopped at step 11"


def test_pause_resume_save_and_sample(page, payload):
    card = mount(page, payload(10))
    page.click("text=Pause")
    push(page, card, [event("state", state="paused", step=11)])
    wait_state(page, "paused")
    assert page.is_hidden(".wb-buttons >> text=Pause")
    page.click(".wb-buttons >> text=Resume")
    push(page, card, [event("state", state="running", step=11, max_steps=60)])
    wait_state(page, "running")
    page.click("text=Save now")
    page.click("text=Sample now")
    wait_for(page, "cards.server(0).commands.length === 6")
    sent = server(page, card, "server.commands")
    assert [command["op"] for command in sent] == ["pause", "resume", "save", "sample", "sample", "sample"]
    assert [command["prompt"] for command in sent[3:]] == [0, 1, 2]


def test_keys_work_in_the_card_and_not_while_typing(page, payload):
    card = mount(page, payload(10))
    page.focus(".wb-line button")
    page.keyboard.press("p")
    page.keyboard.press("s")
    wait_for(page, "cards.server(0).commands.length === 4")
    assert [command["op"] for command in server(page, card, "server.commands")] == ["pause", *["sample"] * 3]
    page.fill(".wb-ask input", "")
    page.type(".wb-ask input", "spps")
    assert page.input_value(".wb-ask input") == "spps"
    assert server(page, card, "server.commands.length") == 4


def test_a_question_goes_to_the_model_and_to_the_base(page, payload):
    card = mount(page, payload(10))
    page.fill(".wb-ask input", "And to a lawyer?")
    page.press(".wb-ask input", "Enter")
    wait_for(page, "cards.server(0).commands.length === 2")
    messages = [{"role": "user", "content": "And to a lawyer?"}]
    assert server(page, card, "server.commands") == [
        {"op": "sample", "messages": messages, "base": True},
        {"op": "sample", "messages": messages, "base": False},
    ]
    head = {"prompt": None, "messages": messages, "step": 11, "origin": "command"}
    push(
        page,
        card,
        [
            event("sample_start", sample="a", cmd="command-1", base=True, **head),
            event("sample", sample="a", prompt=None, step=11, text="A legal term.", stopped=True, base=True),
            event("sample_start", sample="b", cmd="command-2", base=False, **head),
            event("token", sample="b", text="A short amend"),
        ],
    )
    wait_for(page, "document.querySelector('.wb-ans .wb-live p').textContent === 'A short amend'")
    assert page.locator(".wb-ans > div:first-child p").text_content() == "A legal term."
    assert page.text_content(".wb-ans .wb-live .wb-sub") == "step 11, answering"
    assert page.locator(".wb-grid td", has_text="amend").count() == 0


def test_a_refused_command_says_why(page, payload):
    card = mount(page, payload(10))
    page.click("text=Save now")
    wait_for(page, "cards.server(0).commands.length === 1")
    push(page, card, [event("ack", cmd="command-1", op="save", status="refused", step=10, error="the disk is full")])
    page.wait_for_selector("text=save was refused: the disk is full")
    server(page, card, "server.refusing = 'Run 0007-k3f9 is completed'")
    page.click("text=Pause")
    page.wait_for_selector("text=Run 0007-k3f9 is completed")


def test_the_badge_says_whether_batches_agree(page, payload):
    card = mount(page, payload(1, batch=None))
    push(page, card, [event("batch", step=step, micro=0, agrees=True, difference=None) for step in (1, 2, 3)])
    page.wait_for_selector(".wb-agree .wb-ok >> text=Batches agree with the preview (steps 1, 2, 3)")
    differs = {"key": "labels", "index": [0, 17], "ours": -100, "theirs": 42}
    push(page, card, [event("batch", step=4, micro=0, agrees=False, difference=differs)])
    page.wait_for_selector(".wb-agree .wb-bad >> text=Batches differ from the preview")
    assert page.text_content(".wb-agree-diff") == "labels[0, 17]: preview -100, trained 42"


def test_a_loss_that_is_not_a_number_is_said_in_words(page, payload):
    card = mount(page, payload(10))
    push(page, card, [event("metric", step=11, loss=None, learning_rate=1e-4)])
    wait_for(page, "document.querySelector('.wb-nums b').textContent === 'not a number'")


def test_folded_the_card_is_one_line(page, payload):
    mount(page, payload(30), inert=True)
    page.click('button[aria-label="Collapse"]')
    assert page.get_attribute(".wb-line button", "aria-expanded") == "false"
    assert page.is_hidden(".wb-cbox") and page.is_hidden(".wb-samples") and page.is_hidden(".wb-code")
    assert page.is_visible(".wb-spark") and "0.12" in page.text_content(".wb-line")
    page.click('button[aria-label="Open"]')
    assert page.is_visible(".wb-cbox")


def test_the_chart_has_a_table_and_a_log_scale(page, payload):
    mount(page, payload(30), inert=True)
    wait_for(page, f"{points('each step')} === 30")
    page.click("text=Table")
    rows = page.locator(".wb-ltable tbody tr")
    assert rows.count() == 30
    assert rows.last.locator("th, td").all_text_contents()[:2] == ["30", "0.12"]
    page.click(".wb-seg >> text=Log")
    wait_for(page, "document.querySelector('.wb-plot').layout.yaxis.type === 'log'")
    assert page.get_attribute(".wb-seg button:last-child", "aria-pressed") == "true"


def test_the_chart_follows_the_theme(page, payload):
    mount(page, payload(30), inert=True)
    wait_for(page, f"{points('each step')} === 30")
    colour = "document.querySelector('.wb-plot').data[6].textfont.color"
    light = page.evaluate(colour)
    page.evaluate("document.documentElement.classList.add('wb-dark')")
    wait_for(page, f"{colour} !== '{light}'")


def test_insert_as_cell_asks_the_notebook_and_else_copies(page, payload):
    mount(page, payload(None), inert=True)
    page.evaluate(
        """document.addEventListener('wb-insert-code', event => {
            window.inserted = event.detail.code;
            event.preventDefault();
        })"""
    )
    page.click("text=Insert as cell")
    assert page.evaluate("window.inserted") == 'run = wb.attach("0007-k3f9")'
    page.wait_for_selector("text=Inserted below")
    page.click("text=Loss as a figure")
    assert page.evaluate("window.inserted") == 'run = wb.attach("0007-k3f9")\nrun.losses()'


def test_plain_keys_are_the_cards_and_others_the_notebooks(page, payload):
    """JupyterLab looks for this attribute before it takes a key for a command."""
    page.evaluate(
        """document.addEventListener('keydown', event => {
            (window.seen ??= []).push([event.key, event.target.closest('[data-lm-suppress-shortcuts]') !== null]);
        }, true)"""
    )
    mount(page, payload(10))
    page.focus(".wb-line button")
    page.keyboard.press("p")
    page.keyboard.press("Control+s")
    page.keyboard.press("Escape")
    seen = [entry for entry in page.evaluate("window.seen") if entry[0] != "Control"]
    assert seen == [["p", True], ["s", False], ["Escape", True]]
    assert page.evaluate("document.activeElement === document.body")
