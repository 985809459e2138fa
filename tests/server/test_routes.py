import json

import pytest
from server_runs import JOB, LiveRun
from tornado.httpclient import HTTPClientError

from workbench.training.durable_io import Lock
from workbench.training.store import create_run

pytest_plugins = ["pytest_jupyter.jupyter_server"]

BASE = "finetune-workbench"


@pytest.fixture
def get(server, jp_fetch):
    async def fetch(*path, **params):
        response = await jp_fetch(BASE, *path, params=params)
        return json.loads(response.body)

    return fetch


@pytest.fixture
def refused(server, jp_fetch):
    """Fetch what must be refused: the status and the words."""

    async def fetch(*path, **options):
        with pytest.raises(HTTPClientError) as error:
            await jp_fetch(BASE, *path, **options)
        body = error.value.response.body
        return error.value.code, json.loads(body)["message"] if body.startswith(b"{") else body.decode()

    return fetch


async def test_runs_of_every_remembered_root_are_listed_newest_first(get, live_run, tmp_path):
    live_run.train(2.5, 2.25)
    other = create_run({**JOB, "name": "second"}, lambda path: path.write_bytes(b""), tmp_path / "elsewhere")
    listed = await get("runs")
    assert [run["id"] for run in listed] == [other.id, live_run.id]
    assert listed[1] == {
        "id": live_run.id,
        "name": "tiny-llama, lora r16",
        "state": "running",
        "step": 2,
        "max_steps": 4,
        "loss": 2.25,
        "created": listed[1]["created"],
    }
    assert listed[0]["state"] == "queued"


async def test_an_ended_run_that_goes_on_is_listed_anew(get, live_run):
    live_run.end("stopped", reason="asked to")
    assert (await get("runs"))[0]["state"] == "stopped"
    resumed = LiveRun(live_run.run)
    assert (await get("runs"))[0]["state"] == "running"
    resumed.kill()


async def test_an_unchanged_list_costs_no_body(server, jp_fetch, live_run):
    first = await jp_fetch(BASE, "runs")
    with pytest.raises(HTTPClientError) as error:
        await jp_fetch(BASE, "runs", headers={"If-None-Match": first.headers["Etag"]})
    assert error.value.code == 304


async def test_snapshot_has_what_a_card_shows(get, live_run):
    live_run.train(2.5, 2.25)
    got = await get("runs", live_run.id)
    assert got["name"] == "tiny-llama, lora r16"
    snapshot = got["snapshot"]
    assert (snapshot["state"], snapshot["step"], snapshot["max_steps"]) == ("running", 2, 4)
    assert snapshot["series"] == {"step": [1, 2], "loss": [2.5, 2.25]}
    assert snapshot["prompts"] == ["Explain LoRA to a cook.", "How long do I boil an egg?"]
    assert snapshot["offset"] == (live_run.dir / "events.jsonl").stat().st_size


async def test_events_go_on_from_the_offset_without_loss_or_repeat(get, live_run):
    live_run.train(2.5)
    first = await get("runs", live_run.id, "events", offset=0)
    live_run.train(2.5, 2.25)
    second = await get("runs", live_run.id, "events", offset=first["offset"])
    seqs = [event["seq"] for event in first["events"] + second["events"]]
    assert seqs == list(range(8))
    assert second["offset"] == second["size"]
    assert (await get("runs", live_run.id, "events", offset=second["offset"]))["events"] == []


async def test_a_page_is_bounded_and_pages_add_up(get, live_run):
    live_run.train(*[2.0] * 50)
    offset, seqs = 0, []
    while True:
        page = await get("runs", live_run.id, "events", offset=offset, limit=1000)
        if not page["events"]:
            break
        assert page["offset"] - offset <= 1000
        offset = page["offset"]
        seqs += [event["seq"] for event in page["events"]]
    assert seqs == list(range(102))


async def test_a_torn_tail_waits_until_it_is_whole(get, live_run):
    live_run.train(2.5)
    path = live_run.dir / "events.jsonl"
    whole = path.read_bytes()
    live_run.log.emit("checkpoint", step=1, path="out/checkpoint-1", sha256="0" * 64)
    line = path.read_bytes()[len(whole) :]
    path.write_bytes(whole + line[:25])
    torn = await get("runs", live_run.id, "events", offset=len(whole))
    assert torn["events"] == [] and torn["offset"] == len(whole) and torn["size"] == len(whole) + 25
    path.write_bytes(whole + line)
    mended = await get("runs", live_run.id, "events", offset=torn["offset"])
    assert [event["kind"] for event in mended["events"]] == ["checkpoint"]


async def test_a_loss_that_is_not_a_number_is_still_json(server, jp_fetch, live_run):
    live_run.train(float("nan"), float("inf"))
    response = await jp_fetch(BASE, "runs", live_run.id, "events")

    def no_constant(name):
        raise AssertionError(f"{name} is not JSON")

    page = json.loads(response.body, parse_constant=no_constant)
    assert [event["loss"] for event in page["events"] if event["kind"] == "metric"] == [None, None]
    json.loads((await jp_fetch(BASE, "runs", live_run.id)).body, parse_constant=no_constant)


async def test_a_killed_run_is_died_though_no_event_says_so(get, live_run):
    live_run.train(2.5)
    live_run.kill()
    page = await get("runs", live_run.id, "events")
    assert page["state"] == "died"
    assert [event.get("state") for event in page["events"] if event["kind"] == "state"] == ["queued", "running"]


async def command(jp_fetch, run_id, **body):
    response = await jp_fetch(BASE, "runs", run_id, "commands", method="POST", body=json.dumps(body))
    return json.loads(response.body)["cmd"]


def control_files(run):
    return [json.loads(path.read_bytes()) for path in sorted((run.dir / "control").iterdir())]


async def test_a_command_becomes_a_control_file(server, jp_fetch, live_run):
    pause = await command(jp_fetch, live_run.id, op="pause")
    assert control_files(live_run) == [{"id": pause, "op": "pause"}]
    assert all(path.suffix == ".json" for path in (live_run.dir / "control").iterdir())


async def test_sample_by_prompt_takes_the_whole_conversation_of_the_job(server, jp_fetch, live_run):
    asked = await command(jp_fetch, live_run.id, op="sample", prompt=0, base=True)
    (sent,) = control_files(live_run)
    assert sent["id"] == asked and sent["base"] is True
    assert sent["messages"] == JOB["samples"]["prompts"][0]


async def test_stop_carries_save(server, jp_fetch, live_run):
    with Lock(live_run.dir / "sup.lock") as supervisor:
        assert supervisor.take()
        await command(jp_fetch, live_run.id, op="stop", save=False)
    (sent,) = control_files(live_run)
    assert sent["op"] == "stop" and sent["save"] is False


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"op": "console"}, "There is no command 'console'"),
        ({"op": "rm -rf"}, "There is no command 'rm -rf'"),
        ({}, "There is no command None"),
        ([], "A command is an object"),
        ({"op": "pause", "why": 1}, "pause has no member why"),
        ({"op": "stop", "save": "yes"}, "`save` of stop must be true or false, not 'yes'"),
        ({"op": "sample"}, "`messages` of sample must be a list"),
        ({"op": "sample", "messages": [{"role": "user"}]}, "needs `role` and `content`"),
        ({"op": "sample", "prompt": 2}, "this run has 2 prompts"),
        ({"op": "sample", "prompt": 0, "seed": 1.5}, "`seed` of sample"),
        ({"op": "sample", "messages": [{"role": "user", "content": "x" * 200_001}]}, "hold 200001 characters"),
    ],
)
async def test_a_bad_command_is_refused_in_words(refused, live_run, body, words):
    status, message = await refused("runs", live_run.id, "commands", method="POST", body=json.dumps(body))
    assert status == 400
    assert words in message
    assert control_files(live_run) == []


async def test_a_body_that_is_not_json_is_refused(refused, live_run):
    status, message = await refused("runs", live_run.id, "commands", method="POST", body="{op: pause}")
    assert status == 400 and "not JSON" in message


async def test_a_run_that_is_over_takes_no_command(refused, live_run):
    live_run.end("completed")
    status, message = await refused("runs", live_run.id, "commands", method="POST", body=json.dumps({"op": "pause"}))
    assert status == 409 and "completed" in message


async def test_a_recorded_batch_comes_as_it_was_written(get, refused, live_run):
    (live_run.dir / "captured").mkdir(exist_ok=True)
    (live_run.dir / "captured" / "step-000001.json").write_text('[{"input_ids":[[1,2]]}]')
    assert await get("runs", live_run.id, "captured", "1") == [{"input_ids": [[1, 2]]}]
    status, message = await refused("runs", live_run.id, "captured", "2")
    assert status == 404 and "step 2" in message


ROUTES = ["", "/{id}", "/{id}/events", "/{id}/captured/1"]


@pytest.mark.parametrize("route", ROUTES)
async def test_without_a_token_nothing_is_told(refused, live_run, route):
    path = ("runs" + route.format(id=live_run.id)).split("/")
    status, _ = await refused(*path, headers={"Authorization": ""})
    assert status == 403


async def test_without_a_token_nothing_is_commanded(refused, live_run):
    status, _ = await refused(
        "runs", live_run.id, "commands", method="POST", body='{"op":"pause"}', headers={"Authorization": ""}
    )
    assert status == 403
    assert control_files(live_run) == []


@pytest.mark.parametrize("run_id", ["9999-zzzz", "0001-ZZZZ", "1", "nothing"])
async def test_an_unknown_run_is_404(refused, live_run, run_id):
    status, _ = await refused("runs", run_id)
    assert status == 404


@pytest.mark.parametrize("offset", ["-1", "1e3", "٣", "x", "1" * 30])
async def test_an_offset_that_is_no_number_is_refused(refused, live_run, offset):
    status, message = await refused("runs", live_run.id, "events", params={"offset": offset})
    assert status == 400 and "offset=" in message


@pytest.mark.parametrize(
    "path", ["..%2F..%2Fetc", "%2e%2e", "0001-aaaa%2f..%2f..", "....-....", "0001-a%00aa", "0001-a/aa"]
)
async def test_a_path_is_no_run_id(server, jp_serverapp, jp_base_url, http_server_client, jp_auth_header, path):
    from tornado.httputil import url_concat

    url = url_concat(f"{jp_base_url}{BASE}/runs/{path}", {})
    response = await http_server_client.fetch(url, headers=jp_auth_header, raise_error=False)
    assert response.code == 404


async def test_a_run_outside_every_root_is_not_read(refused, live_run, tmp_path, monkeypatch):
    import shutil

    stray = tmp_path / "stray" / "0009-abcd"
    shutil.copytree(live_run.dir, stray)
    monkeypatch.chdir(stray.parent)
    status, _ = await refused("runs", "0009-abcd")
    assert status == 404


async def test_a_link_out_of_a_root_is_not_followed(refused, live_run, tmp_path, runs_root):
    import shutil

    outside = tmp_path / "outside"
    shutil.copytree(live_run.dir, outside)
    (runs_root / "0010-abcd").symlink_to(outside)
    status, _ = await refused("runs", "0010-abcd")
    assert status == 404


async def test_a_captured_path_that_is_not_a_step_is_404(refused, live_run):
    status, _ = await refused("runs", live_run.id, "captured", "..")
    assert status == 404


def test_importing_the_server_does_not_import_training_libraries():
    import subprocess
    import sys

    heavy = "'torch', 'transformers', 'datasets', 'trl', 'peft', 'pyarrow', 'pandas'"
    code = f"import sys, workbench.server; print([name for name in ({heavy}) if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
