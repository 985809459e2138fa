"""Values -> what is shown: display payloads (docs/wire.md section 4), static HTML, plain text."""

TOKENS_MIME = "application/vnd.finetune-workbench.tokens+json"
RUN_MIME = "application/vnd.finetune-workbench.run+json"
TEMPLATE_MIME = "application/vnd.finetune-workbench.template+json"
BATCH_MIME = "application/vnd.finetune-workbench.batch+json"
ANSWERS_MIME = "application/vnd.finetune-workbench.answers+json"
PAIRS_MIME = "application/vnd.finetune-workbench.pairs+json"
ROLLOUTS_MIME = "application/vnd.finetune-workbench.rollouts+json"
