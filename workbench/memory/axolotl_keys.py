"""Keys of an axolotl config, by what they do to memory: literal tables.

A key that is in none of them is reported, never dropped. Source: axolotl 0.18, utils/schemas/*.py and loaders/model.py
(revision 067b021c8); tested on every config under its examples/.
"""

from __future__ import annotations

from collections.abc import Mapping

from workbench.memory.plan import COMPILED

READ = frozenset(
    """base_model revision_of_model trust_remote_code adapter load_in_4bit load_in_8bit sequence_len micro_batch_size
    batch_size gradient_accumulation_steps lora_r lora_alpha lora_dropout lora_target_modules lora_target_linear
    lora_modules_to_save lora_target_parameters lora_rank_pattern lora_alpha_pattern peft_layers_to_transform
    peft_layers_pattern peft_trainable_token_indices peft_init_lora_weights peft_use_dora peft_use_rslora
    sample_packing attn_implementation flash_attention sdp_attention eager_attention xformers_attention flex_attention
    sage_attention optimizer bf16 fp16 bfloat16 float16 float32 torch_dtype gradient_checkpointing
    gradient_checkpointing_kwargs fsdp fsdp_config fsdp_version dp_shard_size dp_replicate_size deepspeed world_size rl
    reward_model trl seed max_steps learning_rate weight_decay max_grad_norm lr_scheduler warmup_steps num_epochs
    datasets pretraining_dataset pad_to_sequence_len tf32 activation_offloading cut_cross_entropy
    liger_fused_linear_cross_entropy liger_glu_activation liger_rms_norm liger_rope lora_mlp_kernel lora_o_kernel
    lora_qkv_kernel""".split()
)
"""Keys that `workbench.memory.axolotl` reads."""

CHANGING: Mapping[str, str] = {
    "auto_find_batch_size": "the batch may become smaller",
    "batch_flattening": "the batch is flattened into one row: less padding than shown",
    "chunked_cross_entropy": "another loss kernel",
    "cls_model_config": "another head",
    "context_parallel_size": "a row is split over GPUs: activations are less than shown",
    "diffusion": "another loss",
    "do_causal_lm_eval": "generates in evaluation, which is not in the figures",
    "ebft": "another method: shown as supervised training",
    "embeddings_skip_upcast": "embeddings in the loaded type",
    "eval_batch_size": "evaluation is not in the figures",
    "eval_sequence_len": "evaluation is not in the figures",
    "expert_parallel_size": "experts are split over GPUs: less than shown",
    "experts_implementation": "another kernel for experts",
    "flash_attn_cross_entropy": "another loss kernel",
    "flash_attn_fuse_mlp": "another MLP kernel",
    "flash_attn_rms_norm": "another norm kernel",
    "fp32_norms": "norms in float32: a little more than shown",
    "fp8": "float8 products: less than shown",
    "freeze_mm_modules": "the vision tower is not trained",
    "fused_attn_kernel": "another attention kernel",
    "gemma4_hybrid_attn_impl": "another attention kernel",
    "gpu_memory_limit": "layers beyond the limit go to host memory",
    "gptq": "weights in GPTQ form",
    "layer_offloading": "layers lie in host memory: less than shown",
    "liger_layer_norm": "Liger's norm keeps less than shown",
    "liger_rms_norm_gated": "Liger's norm keeps less than shown",
    "lisa_n_layers": "only some layers train at a time: less than shown",
    "llama4_linearized_experts": "experts as linear modules",
    "llmcompressor": "sparse weights",
    "lora_embedding_kernel": "fused LoRA kernel of an adapted embedding: keeps less than shown",
    "lora_model_dir": "an adapter that exists: its own config decides, not this one",
    "lora_on_cpu": "the adapter lies in host memory",
    "loftq_config": "another initialisation of the adapter",
    "max_memory": "layers beyond the limit go to host memory",
    "model_quantization_config": "weights in another quantised form",
    "num_labels": "another head",
    "overrides_of_model_config": "another config of the model",
    "overrides_of_model_kwargs": "another way to load the model",
    "peft": "further settings of the adapter",
    "peft_autocast_adapter_dtype": "another type of adapter weights",
    "peft_layer_replication": "layers run several times",
    "plugins": "plugins can replace kernels and losses",
    "precompute_ref_log_probs": "no reference model while training: less than shown where there is one",
    "process_reward_model": "another method: shown as supervised training",
    "processor_type": "images add tokens and a vision tower's activations, which text lengths do not show",
    "qat": "fake quantisation keeps more than shown",
    "quantize_moe_experts": "experts are quantised too: less than shown",
    "relora": "merges the adapter now and then",
    "resize_token_embeddings_to_32x": "the embedding is padded to a multiple of 32 rows",
    "selective_checkpointing": "checkpoints some operators only",
    "shrink_embeddings": "the embedding may get fewer rows",
    "special_tokens": "new tokens add rows to the embedding where the tokenizer lacks them",
    "tensor_parallel_size": "weights and activations are split over GPUs: less than shown",
    "tiled_mlp": "the MLP runs in tiles: less than shown",
    "tokens": "new tokens add rows to the embedding",
    "torch_compile": COMPILED,
    "unfrozen_parameters": "only some parameters train: less than shown",
    "use_eaft": "another loss",
    "use_kernels": "other kernels",
    "use_onebitllms": "weights in one-bit form",
    "use_scattermoe": "another kernel for experts",
    "use_sonicmoe": "another kernel for experts",
    "val_set_size": "evaluation is not in the figures",
    "vllm": "vLLM takes a share of its own",
}
"""Keys that change memory in a way that is not modelled, with what they do."""

QUIET = frozenset(
    """accelerator_config auto_resume_from_checkpoints base_model_config base_model_ignore_patterns
    center_rewards_coefficient chat_template chat_template_jinja chat_template_kwargs cosine_constant_lr_ratio
    cosine_min_lr_ratio curriculum_sampling ddp ddp_find_unused_parameters ddp_timeout debug default_system_message
    device dpo_label_smoothing dpo_loss_type dpo_use_weighting early_stopping_patience embedding_lr embedding_lr_scale
    eot_tokens eta_min eval_steps eval_strategy evals_per_epoch evaluation_strategy excess_length_strategy
    experimental_skip_move_to_device fix_untrained_tokens gc_steps gc_collect_steps torch_empty_cache_steps
    greater_is_better group_by_length is_falcon_derived_model is_llama_derived_model is_mistral_derived_model
    is_qwen_derived_model kto_desirable_weight kto_undesirable_weight load_best_model_at_end local_rank logging_steps
    lora_fan_in_fan_out loraplus_lr_embedding loraplus_lr_ratio low_cpu_mem_usage metric_for_best_model min_sample_len
    model_type neftune_noise_alpha num_dataset_shards_to_save orpo_alpha simpo_gamma cpo_alpha output_dir
    profiler_steps push_dataset_to_hub ray_num_workers reinit_weights remove_unused_columns resume_from_checkpoint
    rl_beta sample_packing_bin_size sample_packing_group_size sample_packing_sequentially shuffle_merged_datasets
    shuffle_before_merging_datasets skip_prepare_dataset strict test_datasets train_on_inputs trainer_cls
    type_of_model use_otel_metrics use_ray use_swanlab use_tensorboard warmup_ratio logging_dir max_packed_sequence_len
    streaming streaming_multipack_buffer_size pretrain_multipack_attn pretrain_multipack_buffer_size
    pretraining_sample_concatenation jagged_restart_steps jagged_restart_warmup_steps jagged_restart_anneal_steps
    eval_table_size eval_max_new_tokens eval_causal_lm_metrics eval_sample_packing lr_quadratic_warmup
    lr_scheduler_kwargs lr_groups lr_div_factor
    include_tokens_per_second include_tkps total_num_tokens total_supervised_tokens sample_packing_eff_est""".split()
)
"""Keys that leave the memory of a training step alone."""

QUIET_PREFIXES = tuple(
    """adam_ comet_ dataloader_ dataset_ hf_ hub_ loss_watchdog_ merge_ mlflow_ otel_ processor_kwargs save_ saves_
    swanlab_ tokenizer_ trackio_ wandb_ relora_ lisa_step lisa_layers jagged_ gptq_ flex_attn_compile torch_compile_
    tiled_mlp_ eaft_ expert_parallel_ fp8_ vllm_ num_generation generation_ chunked_cross_entropy_""".split()
)
"""Beginnings of further such keys, and of details of a key that is reported by itself."""
