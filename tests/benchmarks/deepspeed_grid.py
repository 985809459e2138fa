"""DeepSpeed as it runs: live bytes of a rank at the moments of a step, ours beside them, as a table.

    DS_BUILD_OPS=0 pip install deepspeed==0.19.6      # needs no GPU: two processes on the CPU, joined by gloo
    python -m tests.benchmarks.deepspeed_grid > tests/memory/deepspeed_grid.csv

Every tensor storage of the process is counted, on the device and in host memory alike, because on a CPU both are one;
the model is small and its rows are short, so that parameters, gradients, state and buffers are nearly all there is.
Two steps run, the second is reported. Minutes; deepspeed is no dependency of the project.
"""

import csv
import gc
import json
import multiprocessing
import os
import sys
import tempfile
import warnings
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

from workbench.memory.architecture import from_config
from workbench.memory.settings import AnalyticSettings
from workbench.memory.sharded import estimate_sharded
from workbench.memory.sharding_values import Buckets, Sharding

CONFIG = {
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 704,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "vocab_size": 4000,
}
ROWS, LENGTH, RANK = 1, 16, 8
PHASES = ("between", "forward", "backward", "step")


@dataclass(frozen=True)
class Case:
    """A run under DeepSpeed; buckets in elements, 0 for what transformers fills in."""

    stage: int
    offload: str = "none"
    lora: bool = False
    tied: bool = False
    accumulation: int = 1
    reduce: int = 0
    reuse: int = 10**9
    overlap: bool = False
    world: int = 2
    quantised: str = ""
    persistence: int = 0
    """`stage3_param_persistence_threshold`; 0 for what transformers fills in."""

    @property
    def buckets(self):
        """The same as our buckets."""
        return Buckets(self.reduce or None, None, self.persistence or None, self.reuse, overlap=self.overlap)


def ours(case):
    """Bytes of a rank by phase, device and host together."""
    settings = AnalyticSettings(
        rows=ROWS,
        length=LENGTH,
        scored=ROWS * LENGTH,
        adapter="lora" if case.lora else "none",
        rank=RANK,
        accumulation=case.accumulation,
        optim="adamw_torch_fused",
        loss="logits",
        device="cpu",
        attention="eager",
        masked=False,
        autocast=False,
        weight_bytes=2,
        quantisation="nf4" if case.quantised else "none",
        bnb_4bit_quant_storage=case.quantised or "uint8",
    )
    shapes = from_config({**CONFIG, "tie_word_embeddings": case.tied})
    sharding = Sharding(f"zero{case.stage}", case.world, case.offload, buckets=case.buckets)
    found = estimate_sharded(shapes, settings, sharding)
    peaks = {peak.name: peak for peak in found.estimate.peaks}
    names = {name for peak in peaks.values() for name in peak.parts}
    if case.stage < 3:
        names -= {"gradients"}  # those of a step are gone between steps
    static = sum(min(peak.parts.get(name, 0) for peak in peaks.values()) for name in names)
    forward = [peak.bytes for name, peak in peaks.items() if "forward" in name]
    backward = [peak.bytes for name, peak in peaks.items() if "backward" in name]
    sizes = {
        "between": static,
        "forward": max(forward, default=0),
        "backward": max(backward),
        "step": peaks["optimizer step"].bytes,
    }
    return {name: size + found.host_bytes for name, size in sizes.items()}, found


def config_of(case):
    """DeepSpeed's config as transformers fills it in for `auto`, but for what the case says."""
    hidden = CONFIG["hidden_size"]
    buckets = case.buckets.filled(hidden)
    zero = {"stage": case.stage, "reduce_bucket_size": buckets.reduce, "overlap_comm": case.overlap}
    if case.stage == 3:
        zero |= {
            "stage3_prefetch_bucket_size": buckets.prefetch,
            "stage3_param_persistence_threshold": buckets.persistence,
            "stage3_max_reuse_distance": buckets.reuse,
        }
    if case.offload != "none":
        zero["offload_optimizer"] = {"device": "cpu"}
    if case.offload == "parameters":
        zero["offload_param"] = {"device": "cpu"}
    return {
        "train_micro_batch_size_per_gpu": ROWS,
        "gradient_accumulation_steps": case.accumulation,
        "bf16": {"enabled": True},
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "gradient_clipping": 1.0,
    }


def measured(case):
    """Highest live bytes of every phase of the second step, counted in this rank's process."""
    import deepspeed
    import torch

    from workbench.training.traced.recorder import Recorder

    recorder = Recorder(("cpu",))
    with recorder:
        recorder.phase = "making"
        model, optimizer = _model(case)
        engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=config_of(case))
        del model, optimizer
        for step in range(2):
            _step(engine, recorder, case, step)
        gc.collect()
        recorder.phase = "between 2"
        torch.zeros(1)
    recorder.closed = True
    highest, live = {}, 0
    for (_, size), phase in zip(recorder.events, recorder.phases, strict=True):
        live += size
        highest[phase] = max(highest.get(phase, 0), live)
    engine.destroy()
    return {phase: highest[f"{phase} {2 if phase == 'between' else 1}"] for phase in PHASES}


def _step(engine, recorder, case, step):
    import torch

    for _ in range(case.accumulation):
        gc.collect()
        ids = torch.randint(0, 9, (ROWS, LENGTH))
        recorder.phase = f"forward {step}"
        loss = engine(input_ids=ids, labels=ids).loss
        recorder.phase = f"backward {step}"
        engine.backward(loss)
        del loss
        recorder.phase = f"step {step}"
        engine.step()


def _model(case):
    import peft
    import torch
    import transformers

    config = transformers.AutoConfig.for_model(**CONFIG, tie_word_embeddings=case.tied)
    config._attn_implementation, config.use_cache = "eager", False
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).train()
    if case.quantised:
        _quantise(model, getattr(torch, case.quantised))
    if case.lora:
        model = peft.get_peft_model(model, peft.LoraConfig(task_type="CAUSAL_LM", r=RANK, target_modules="all-linear"))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [[one for one in trained if one.ndim > 1], [one for one in trained if one.ndim == 1]]
    return model, torch.optim.AdamW([{"params": group} for group in groups if group], lr=1e-4, fused=True)


def _quantise(model, storage):
    """Real 4-bit weights, quantised on the CPU by bitsandbytes."""
    import bitsandbytes as bnb
    import torch

    for parent in list(model.get_decoder().modules()):
        for name, child in list(parent.named_children()):
            if type(child) is torch.nn.Linear:
                made = bnb.nn.Linear4bit(
                    child.in_features,
                    child.out_features,
                    False,
                    torch.bfloat16,
                    quant_type="nf4",
                    quant_storage=storage,
                )
                made.weight = bnb.nn.Params4bit(
                    child.weight.data, requires_grad=False, quant_type="nf4", quant_storage=storage, module=made
                )
                setattr(parent, name, made.to("cpu"))


def worker(rank, cases, folder):
    """One rank of all cases of a world."""
    warnings.simplefilter("ignore")
    world = cases[0].world
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(world), DS_ACCELERATOR="cpu")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29555")
    os.dup2(2, 1)
    import torch

    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    import deepspeed

    deepspeed.init_distributed(dist_backend="gloo", auto_mpi_discovery=False)
    for number, case in enumerate(cases):
        (Path(folder) / f"{number}.{rank}").write_text(json.dumps(measured(case)))
        print(f"{number + 1} of {len(cases)}: {case}", file=sys.stderr)
    os._exit(0)


def run(cases):
    """Phases of every case, of the rank that has most in each."""
    with tempfile.TemporaryDirectory() as folder:
        context = multiprocessing.get_context("spawn")
        arguments = [(rank, cases, folder) for rank in range(cases[0].world)]
        processes = [context.Process(target=worker, args=each) for each in arguments]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        found = []
        for number in range(len(cases)):
            ranks = [json.loads(path.read_text()) for path in sorted(Path(folder).glob(f"{number}.*"))]
            found.append({phase: max(rank[phase] for rank in ranks) for phase in PHASES} if ranks else None)
        return found


def grid():
    """Cases of the table."""
    offloads = {1: ("none", "optimizer"), 2: ("none", "optimizer"), 3: ("none", "optimizer", "parameters")}
    for stage in (1, 2, 3):
        for offload, lora in product(offloads[stage], (False, True)):
            yield Case(stage, offload, lora)
    for stage in (1, 2, 3):
        yield Case(stage, tied=True)
        yield Case(stage, accumulation=2)
        yield Case(stage, reduce=10**6)
        yield Case(stage, overlap=True)
    yield Case(2, "optimizer", accumulation=2)
    yield Case(3, reuse=0)
    yield Case(3, persistence=10**5)
    yield Case(3, lora=True, quantised="bfloat16")
    yield Case(2, lora=True, quantised="uint8")


def main():
    """Write the table, one row a case and phase."""
    cases = list(grid())
    write(cases, run(cases))


def write(cases, measurements):
    """The table of measured phases, ours beside them."""
    table = csv.writer(sys.stdout)
    table.writerow([*asdict(Case(1)), "phase", "bytes", "bytes ours", "error %"])
    for case, phases in zip(cases, measurements, strict=True):
        mine, _ = ours(case)
        for phase in PHASES:
            error = f"{100 * (mine[phase] / phases[phase] - 1):+.2f}"
            table.writerow([*asdict(case).values(), phase, phases[phase], mine[phase], error])


if __name__ == "__main__":
    main()
