"""Following a run: events in, states out, and when to ask nothing."""

import pytest
from card_page import event, mount, points, push, server, until_step, wait_for, wait_state

pytestmark = pytest.mark.browser


def test_a_live_card_follows_the_run_to_its_end(page, payload, recorded):
    card = mount(page, payload(10))
    wait_for(page, f"{points('each step')} === 10")
    assert page.text_content(".wb-state").strip() == "Running"
    assert page.text_content(".wb-title") == "0007-k3f9"
    assert page.get_attribute(".wb-prog", "aria-valuenow") == "10"

    start = len(until_step(recorded, 10))
    half = len(until_step(recorded, 30))
    push(page, card, recorded[start:half])
    wait_for(page, f"{points('each step')} === 30")
    wait_for(page, "document.querySelector('.wb-prog').getAttribute('aria-valuenow') === '30'")
    assert page.text_content(".wb-nums div:first-child b") == "0.12"
    assert page.locator(".wb-grid thead th").all_text_contents() == ["Prompt", "step 0 base model", "20 newest"]

    push(page, card, recorded[half:])
    wait_state(page, "completed")
    assert page.text_content(".wb-state").strip() == "Finished"
    wait_for(page, f"{points('each step')} === 60")
    wait_for(page, f"{points('checkpoint')} === 1")
    assert page.locator(".wb-grid td:last-child p").all_text_contents()[2] == "Wildle loves onion soup."
    assert "final model and 1 checkpoint, with sha256 sums" in page.text_content(".wb-sum")
    assert page.is_hidden(".wb-buttons")


def test_polling_ends_with_the_run(page, payload, recorded):
    page.clock.install()
    card = mount(page, payload(10))
    push(page, card, recorded[len(until_step(recorded, 10)) :])
    wait_state(page, "completed")
    wait_for(page, "document.querySelector('.wb-run').dataset.connection === 'ended'")
    before = server(page, card, "server.requests.length")
    page.clock.run_for(60_000)
    assert server(page, card, "server.requests.length") == before


def test_two_cards_of_one_run_share_one_loop(page, payload, recorded):
    first = mount(page, payload(10))
    second = mount(page, payload(10), server=first)
    page.set_viewport_size({"width": 960, "height": 3000})
    push(page, first, recorded[len(until_step(recorded, 10)) :])
    wait_for(page, "document.querySelectorAll('.wb-run[data-state=completed]').length === 2")
    paths = server(page, first, "server.requests.map(request => request.path)")
    assert len([path for path in paths if path.endswith("0007-k3f9")]) == 2, "one snapshot at first, one at the end"
    page.evaluate("card => cards.dispose(card)", second)


def test_a_disposed_card_asks_no_more(page, payload):
    page.clock.install()
    card = mount(page, payload(10))
    wait_for(page, "cards.server(0).requests.length > 2")
    page.evaluate("card => cards.dispose(card)", card)
    before = server(page, card, "server.requests.length")
    page.clock.run_for(60_000)
    assert server(page, card, "server.requests.length") == before


def test_an_off_screen_card_asks_nothing_until_it_is_seen(page, payload):
    page.clock.install()
    page.evaluate("document.body.style.paddingTop = '5000px'")
    card = mount(page, payload(10))
    page.clock.run_for(60_000)
    assert server(page, card, "server.requests.length") == 0
    page.locator(".wb-run").scroll_into_view_if_needed()
    wait_for(page, "cards.server(0).requests.length > 0")


def test_samples_stream_as_they_are_generated(page, payload, recorded):
    card = mount(page, payload(19))
    start = len(until_step(recorded, 19))
    begin = next(i for i, e in enumerate(recorded) if e["kind"] == "sample_start" and e["step"] == 20)
    push(page, card, recorded[start : begin + 1])
    wait_for(
        page,
        "document.querySelectorAll('.wb-grid .wb-caret').length === 1",
    )
    push(page, card, [event("token", sample=recorded[begin]["sample"], text="Kip")])
    wait_for(page, "document.querySelector('.wb-grid .wb-caret').parentElement.textContent === 'Kip'")
    push(page, card, [event("token", sample=recorded[begin]["sample"], text="wick")])
    wait_for(page, "document.querySelector('.wb-grid .wb-caret').parentElement.textContent === 'Kipwick'")
    done = next(e for e in recorded if e["kind"] == "sample" and e["step"] == 20)
    push(page, card, [done])
    wait_for(page, "document.querySelector('.wb-grid .wb-caret') === null")
    assert page.locator(".wb-grid tbody tr:first-child td:last-child p").text_content() == done["text"]


def test_a_lost_connection_is_said_and_mended(page, payload, recorded):
    card = mount(page, payload(10))
    wait_for(page, "document.querySelector('.wb-run').dataset.connection === 'live'")
    server(page, card, "server.failing = 503")
    page.wait_for_selector("text=Connection lost, retrying")
    assert page.text_content(".wb-nums div:first-child b") != ""
    push(page, card, recorded[len(until_step(recorded, 10)) : len(until_step(recorded, 20))])
    server(page, card, "server.failing = null")
    wait_for(page, "document.querySelector('.wb-prog').getAttribute('aria-valuenow') === '20'")
    assert page.is_hidden("text=Connection lost, retrying")


def test_a_run_that_the_server_does_not_know_is_not_asked_for_again(page, payload):
    page.clock.install()
    shown = payload(10)
    page.evaluate("document.body.style.paddingTop = '5000px'")
    card = mount(page, shown)
    server(page, card, "server.failing = 404")
    page.locator(".wb-run").scroll_into_view_if_needed()
    page.wait_for_selector("text=The server does not know this run any more")
    before = server(page, card, "server.requests.length")
    page.clock.run_for(60_000)
    assert server(page, card, "server.requests.length") == before


def test_an_untrusted_card_waits_for_a_click(page, payload, recorded):
    card = mount(page, payload(10), live=False)
    push(page, card, recorded[len(until_step(recorded, 10)) : len(until_step(recorded, 20))])
    wait_for(page, f"{points('each step')} === 10")
    assert server(page, card, "server.requests.length") == 0
    assert page.is_hidden(".wb-buttons")
    page.click("text=Go live")
    wait_for(page, f"{points('each step')} === 20")
    assert page.is_hidden("text=Go live")


def test_without_a_server_the_saved_copy_is_all(page, payload):
    mount(page, payload(10), inert=True)
    wait_for(page, f"{points('each step')} === 10")
    assert page.is_visible("text=As it was at step 10")
    assert page.is_hidden("text=Go live")
    assert page.is_hidden(".wb-askrow")


def test_a_death_shows_message_log_and_what_is_safe(page, payload):
    card = mount(page, payload(40))
    told = {"message": "The system ended the process (signal 9).", "log_tail": "step 40\nKilled"}
    page.evaluate(
        "([card, told]) => { cards.server(card).told = told; cards.server(card).state = 'died'; }", [card, told]
    )
    wait_state(page, "died")
    page.wait_for_selector("text=The system ended the process (signal 9).")
    assert page.text_content(".wb-state").strip() == "Died at step 40"
    assert page.text_content(".wb-log") == "step 40\nKilled"
    assert "events to step 40; last verified checkpoint: step 31." in page.text_content(".wb-error")


def test_updates_do_not_make_the_page_again(page, payload, recorded):
    card = mount(page, payload(25))
    wait_for(page, f"{points('each step')} === 25")
    page.evaluate(
        """window.kept = [...document.querySelectorAll(
            '.wb-run, .wb-run button, .wb-run td, .wb-plot, .wb-plot .main-svg')]"""
    )
    push(page, card, recorded[len(until_step(recorded, 25)) : len(until_step(recorded, 30))])
    wait_for(page, f"{points('each step')} === 30")
    assert page.evaluate("window.kept.every(node => node.isConnected)")


def test_the_live_region_is_quiet_between_news(page, payload):
    page.clock.install()
    card = mount(page, payload(10))
    push(page, card, [event("state", state="paused", step=10)])
    wait_for(page, "document.querySelector('.wb-run > [role=status]').textContent.includes('Paused')")
    push(page, card, [event("state", state="running", step=10, max_steps=60)])
    wait_state(page, "running")
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 1)
    assert "Paused" in page.text_content(".wb-run > [role=status]"), "the next sentence waits for 30 s"
    page.clock.run_for(31_000)
    assert "Running" in page.text_content(".wb-run > [role=status]")


def test_a_folded_card_draws_no_chart(page, payload, recorded):
    card = mount(page, payload(10))
    wait_for(page, f"{points('each step')} === 10")
    page.click('button[aria-label="Collapse"]')
    push(page, card, recorded[len(until_step(recorded, 10)) : len(until_step(recorded, 20))])
    wait_for(page, "document.querySelector('.wb-prog').getAttribute('aria-valuenow') === '20'")
    assert page.evaluate(points("each step")) == 10
    page.click('button[aria-label="Open"]')
    wait_for(page, f"{points('each step')} === 20")
