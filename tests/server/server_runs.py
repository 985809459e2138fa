"""A job, and a run that a test drives as its trainer would."""

from workbench.training.durable_io import EventWriter, Lock

JOB = {
    "recipe": {},
    "name": "tiny-llama, lora r16",
    "dataset": "rows.parquet",
    "packed": False,
    "model": "tiny-llama",
    "tokenizer": "tiny-llama",
    "chat_template": None,
    "samples": {
        "prompts": [
            [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Explain LoRA to a cook."}],
            [{"role": "user", "content": "How long do I boil an egg?"}],
        ],
        "every": 2,
        "max_new_tokens": 16,
    },
    "capture": [1],
    "expected": None,
    "threads": None,
    "resume": None,
}


class LiveRun:
    """A run whose lock this test holds, as its trainer would."""

    def __init__(self, run) -> None:
        self.run, self.id, self.dir = run, run.id, run.dir
        self.lock = Lock(run.dir / "run.lock")
        assert self.lock.take()
        self.log = EventWriter(run.dir, self.lock)
        self.log.emit("state", state="running", step=0, max_steps=4)

    def train(self, *losses: float) -> None:
        """One step and metric event for each loss."""
        for step, loss in enumerate(losses, 1):
            self.log.emit("step", step=step, dt=0.1, tokens=64, tokens_per_s=640.0, eta_s=1.0, rss_bytes=1 << 30)
            self.log.emit("metric", step=step, loss=loss, learning_rate=2e-4)

    def end(self, state: str, **members) -> None:
        """The last event, and the lock given back."""
        self.log.emit("state", state=state, step=4, **members)
        self.kill()

    def kill(self) -> None:
        """The lock given back without a word."""
        self.log.close()
        self.lock.release()
