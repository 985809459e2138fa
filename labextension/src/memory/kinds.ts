/** What memory is for, in the ten words of workbench/memory/kinds.py. */

export const KINDS = [
  'weights',
  'adapter',
  'gradients',
  'optimizer',
  'activations',
  'logits',
  'reference model',
  'generation',
  'communication',
  'other'
] as const;

export type Kind = (typeof KINDS)[number];

const OF_PART: Readonly<Record<string, Kind>> = {
  'loading temporaries': 'weights',
  'optimizer state': 'optimizer',
  'optimizer temporaries': 'optimizer',
  'gradients so far': 'gradients',
  'head gradient': 'gradients',
  'tied embedding gradient': 'gradients',
  tail: 'activations',
  'autocast copies': 'activations',
  'recomputed layer': 'activations',
  'layer copies': 'activations',
  pixels: 'other',
  'vision activations': 'activations',
  'projector activations': 'activations',
  'vision outputs': 'activations',
  'vision layer': 'activations',
  'forward copies': 'activations',
  'adapted experts': 'activations',
  'layer forward': 'activations',
  'layer backward': 'activations',
  'attention backward': 'activations',
  'dequantised weights': 'activations',
  'saved activations': 'activations',
  'recomputed activations': 'activations',
  'forward temporaries': 'activations',
  'backward temporaries': 'activations',
  loss: 'logits',
  'head gradient sum': 'logits',
  'kept outputs': 'logits',
  'logits and loss': 'logits',
  'loss backward temporaries': 'logits',
  'generate cache': 'generation',
  'generate copies': 'generation',
  'generate temporaries': 'generation',
  'generate logits': 'generation',
  'sample cache': 'generation',
  'sample copies': 'generation',
  'sample temporaries': 'generation',
  'sample logits': 'generation',
  'vllm engine': 'generation',
  'vllm engine awake': 'generation',
  'score copies': 'activations',
  'score temporaries': 'activations',
  'score logits': 'logits',
  'evaluation copies': 'activations',
  'evaluation temporaries': 'activations',
  'evaluation logits': 'logits',
  'master weights': 'optimizer',
  'unsharded gradients': 'gradients',
  'unsharded parameters': 'communication',
  'gather buffers': 'communication',
  'reduce buffers': 'communication'
};

function isKind(word: string): word is Kind {
  return (KINDS as readonly string[]).includes(word);
}

/** Kind of a part of the closed form or of a trace's category; `other` for what has none. */
export function kindOf(part: string): Kind {
  return isKind(part) ? part : (OF_PART[part] ?? 'other');
}

/** Part -> bytes gathered to kind -> bytes, in the order of `KINDS`, empty kinds left out. */
export function byKind(parts: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const kind of KINDS) {
    const sizes = Object.entries(parts).filter(([name]) => kindOf(name) === kind);
    const total = sizes.reduce((bytes, [, size]) => bytes + size, 0);
    if (total) {
      found[kind] = total;
    }
  }
  return found;
}
