"""TRL's trainers on the CPU as their users make them, the bytes they really hold, and the trace of the same steps."""

import weakref

from workbench.memory.plan import Plan
from workbench.memory.trace import Trace
from workbench.recipes import Recipe
from workbench.training.tracing import TRACER

CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 4500,  # the embedded tokenizer's ids must fit: the real trainer looks them up
    "tie_word_embeddings": True,
    "num_hidden_layers": 3,
    "max_position_embeddings": 256,
}
LENGTHS = [48, 40]
LORA = {"peft_type": "LORA", "r": 4, "target_modules": "all-linear"}
TRAINERS = {"sft": "SFT", "dpo": "DPO", "kto": "KTO", "reward": "Reward"}


class LiveBytes:
    """Highest sum of the storages of all tensors alive, seen at every operator."""

    def __init__(self):
        import torch
        from torch.utils._python_dispatch import TorchDispatchMode
        from torch.utils._pytree import tree_iter

        from workbench.training.traced.recorder import adds_in_place

        owner = self
        self.now = self.peak = 0
        self.known = {}

        class Watch(TorchDispatchMode):
            def __torch_dispatch__(self, func, types, args=(), kwargs=None):
                if func is torch.ops.aten.add.Tensor and adds_in_place(*args):
                    return args[0].add_(args[1])  # as autograd does where no mode looks on
                out = func(*args, **(kwargs or {}))
                for value in tree_iter(out):
                    owner.see(value)
                return out

        self.watch = Watch()

    def see(self, value):
        if not hasattr(value, "untyped_storage"):
            return
        storage = value.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self.known or not size:
            return
        self.known[key] = weakref.ref(storage, lambda _: self.gone(key, size))
        self.now += size
        self.peak = max(self.peak, self.now)

    def gone(self, key, size):
        self.known.pop(key, None)
        self.now -= size


def rows(method):
    """What the trace says it runs, written out by hand: prompt and answer are halves of the length."""
    from datasets import Dataset

    made = []
    for index, length in enumerate([*LENGTHS, *LENGTHS]):
        half = [5] * (length // 2)
        if method == "sft":
            made.append({"input_ids": [5] * length, "labels": [5] * length})
        elif method == "dpo":
            made.append({"prompt_ids": half, "chosen_ids": half, "rejected_ids": half})
        elif method == "kto":
            label = index % 2 == 0
            made.append({"prompt_ids": half, "completion_ids": half, "KL_completion_ids": half, "label": label})
        else:
            made.append({"chosen_ids": [5] * length, "rejected_ids": [5] * length})
    return Dataset.from_list(made)


def model(method):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

    values = {key: value for key, value in CONFIG.items() if key != "model_type"}
    config = AutoConfig.for_model(CONFIG["model_type"], **values)
    maker = AutoModelForCausalLM
    if method == "reward":
        maker, config.num_labels = AutoModelForSequenceClassification, 1
    return maker.from_config(config, attn_implementation="eager", dtype=torch.float32).train()


def trainer(method, adapter, folder, **arguments):
    """TRL's trainer on the CPU, as TRL's users make it."""
    import trl
    from peft import LoraConfig
    from transformers import AutoTokenizer

    from workbench.tiny_llama import model_path

    kind = getattr(trl, f"{TRAINERS[method]}Trainer")
    extra = {"eval_dataset": arguments.pop("eval_dataset", None)}
    if method in ("dpo", "kto"):  # these two would tokenise the rows again
        kind = type(kind.__name__, (kind,), {"_prepare_dataset": lambda self, dataset, *_: dataset})
        extra |= {} if adapter else {"ref_model": model(method)}
    if method == "sft":
        arguments["dataset_kwargs"] = {"skip_prepare_dataset": True}
    task = "SEQ_CLS" if method == "reward" else "CAUSAL_LM"
    return kind(
        model=model(method),
        args=getattr(trl, f"{TRAINERS[method]}Config")(
            output_dir=str(folder),
            per_device_train_batch_size=2,
            max_steps=2,
            max_length=None,
            use_cpu=True,
            optim="adamw_torch",
            train_sampling_strategy="sequential",
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            logging_steps=1,
            dataloader_pin_memory=False,
            **arguments,
        ),
        train_dataset=rows(method),
        processing_class=AutoTokenizer.from_pretrained(str(model_path())),
        peft_config=LoraConfig(r=4, target_modules="all-linear", task_type=task) if adapter else None,
        **extra,
    )


SHARED_ARGUMENTS = (
    "output_dir per_device_train_batch_size max_steps use_cpu optim train_sampling_strategy report_to disable_tqdm"
    " save_strategy logging_steps dataloader_pin_memory bf16 gradient_checkpointing"
).split()


def really_live(method, adapter, folder, **arguments):
    made = trainer(method, adapter, folder, **arguments)
    live = LiveBytes()
    for module in (made.model, getattr(made, "ref_model", None)):
        for tensor in (*module.parameters(), *module.buffers()) if module is not None else ():
            live.see(tensor)
    with live.watch:
        made.train()
    return live.peak


def traced(method, adapter, **changes):
    recipe = Recipe(per_device_train_batch_size=2, gradient_checkpointing=changes.pop("checkpointing", False))
    fields = {"device": "cpu", "attention": "eager", "dtype": "float32", "autocast": False, **changes}
    plan = Plan(CONFIG, recipe.to_dict(), [LENGTHS], method=method, adapter=LORA if adapter else None, **fields)
    return Trace.from_dict(plan, TRACER.ask(plan))
