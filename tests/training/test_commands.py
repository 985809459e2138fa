import json
import signal
import subprocess
import sys
import time

import pytest
from tiny_run import wait_until

from workbench.training import commands, processes
from workbench.training.durable_io import EventWriter, Lock
from workbench.training.events import EventReader
from workbench.training.processes import Escalation


def test_commands_come_once_in_the_order_they_were_sent(run_dir):
    inbox = commands.Inbox(run_dir)
    first = commands.send(run_dir, "pause")
    second = commands.send(run_dir, "sample", messages=[{"role": "user", "content": "é"}])
    got = inbox.poll()
    assert [(command.id, command.op) for command in got] == [(first, "pause"), (second, "sample")]
    assert got[1].members == {"messages": [{"role": "user", "content": "é"}]}
    assert inbox.poll() == []
    assert [command.id for command in commands.read(run_dir)] == [first, second]  # open until acknowledged
    inbox.done(got[0])
    assert [command.id for command in commands.read(run_dir)] == [second]


@pytest.mark.parametrize("content", [b'{"op": "st', b"[]", b'{"id": "x"}', b"\xff\xfe", b'{"op": 3}'])
def test_a_command_that_cannot_be_read_says_so(run_dir, content):
    (run_dir / "control" / "00000000000000000001-abc.json").write_bytes(content)
    (command,) = commands.Inbox(run_dir).poll()
    assert (command.id, command.op) == ("abc", "unreadable")
    assert "00000000000000000001-abc.json" in command.problem


def test_a_half_written_file_is_not_seen(run_dir):
    (run_dir / "control" / ".1-abc.json-1234.tmp").write_bytes(b'{"op": "stop"}')
    assert commands.Inbox(run_dir).poll() == []
    assert commands.read(run_dir) == []


def test_stop_and_cancel_interrupt_a_sample_and_nothing_else_does(run_dir):
    inbox = commands.Inbox(run_dir)
    commands.send(run_dir, "sample")
    assert inbox.poll() and not inbox.interrupts()
    commands.send(run_dir, "pause")
    assert not inbox.interrupts()
    commands.send(run_dir, "cancel")
    assert inbox.interrupts()
    inbox.poll()
    assert not inbox.interrupts()


def test_what_a_dead_trainer_left_open_is_refused(run_dir):
    ids = [commands.send(run_dir, op) for op in ("pause", "save")]
    with Lock(run_dir / "run.lock") as lock:
        lock.take()
        assert commands.refuse_open(run_dir, EventWriter(run_dir, lock), "it is gone") == 2
    acks = list(EventReader(run_dir).all())
    assert [(ack["cmd"], ack["status"], ack["error"]) for ack in acks] == [(i, "refused", "it is gone") for i in ids]
    assert commands.read(run_dir) == []


DEAF = """
import os, signal, sys, time
def heard(*_):
    print("SIGTERM", flush=True)
    if sys.argv[1] == "gentle": os._exit(0)
signal.signal(signal.SIGTERM, heard)
print("up", flush=True)
while True: time.sleep(1)
"""


@pytest.fixture
def deaf_trainer(run_dir):
    """A trainer that reads no commands; `gentle` ends on SIGTERM, `stubborn` does not."""
    started = []

    def start(manner):
        process = subprocess.Popen(
            [sys.executable, "-c", DEAF, manner], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        assert process.stdout.readline() == "up\n"
        processes.publish_identity(run_dir, process.pid)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait(10)
        process.stdout.close()


def press_until(escalation, condition):
    def step():
        escalation.press()
        return condition()

    wait_until(step)


@pytest.mark.faults
def test_a_stop_that_is_not_taken_becomes_sigterm(run_dir, deaf_trainer):
    trainer = deaf_trainer("gentle")
    commands.send(run_dir, "stop", grace_s=0.2)
    escalation = Escalation(run_dir)
    press_until(escalation, lambda: trainer.poll() is not None)
    assert trainer.returncode == 0
    assert trainer.stdout.read() == "SIGTERM\n"
    assert escalation.reason == "stop was not taken within 0.2 s; SIGTERM sent"


@pytest.mark.faults
def test_a_trainer_that_ignores_sigterm_is_killed(run_dir, deaf_trainer):
    trainer = deaf_trainer("stubborn")
    commands.send(run_dir, "stop", grace_s=0.2)
    escalation = Escalation(run_dir)
    press_until(escalation, lambda: trainer.poll() is not None)
    assert trainer.returncode == -signal.SIGKILL
    assert trainer.stdout.read() == "SIGTERM\n"
    assert "SIGKILL" in escalation.reason


@pytest.mark.faults
def test_a_stop_that_is_taken_in_time_is_not_pressed(run_dir, deaf_trainer):
    trainer = deaf_trainer("gentle")
    commands.send(run_dir, "stop", grace_s=30)
    inbox, escalation = commands.Inbox(run_dir), Escalation(run_dir)
    escalation.press()
    assert escalation.command is not None
    (stop,) = inbox.poll()
    inbox.done(stop)
    escalation.press()
    assert (escalation.command, escalation.pressed, escalation.reason) == (None, 0, "")
    assert trainer.poll() is None


@pytest.mark.faults
def test_a_stop_that_is_taken_after_sigterm_is_not_killed(run_dir, deaf_trainer):
    trainer = deaf_trainer("stubborn")
    commands.send(run_dir, "stop", grace_s=0.05)
    escalation = Escalation(run_dir)
    press_until(escalation, lambda: escalation.pressed == 1)
    (stop,) = commands.Inbox(run_dir).poll()
    commands.Inbox(run_dir).done(stop)
    for _ in range(20):
        escalation.press()
        time.sleep(0.01)
    assert escalation.pressed == 1 and trainer.poll() is None


def test_a_process_of_another_life_is_never_signalled(run_dir):
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        processes.publish_identity(run_dir, sleeper.pid)
        assert processes.trainer_pid(run_dir) == sleeper.pid
        known = json.loads((run_dir / "proc.json").read_bytes())
        for change in ({"started": "1"}, {"boot": "another"}, {"pid": 2**22 + 1}):
            (run_dir / "proc.json").write_text(json.dumps({**known, **change}))
            assert processes.trainer_pid(run_dir) is None
            assert not processes.signal_trainer(run_dir, signal.SIGKILL)
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait(10)
