/** Losses of other tools in the closed form: the twin of workbench/memory/fused_loss.py. */
import type { LossKernel } from './kernels';
import type { Part } from './shapes';
import { computeBytes, restBytes } from './shapes';
import type { Step } from './step';
import { part } from './step';

const CHUNK_TARGET = 4 * 2 ** 30;

const SAYS: Readonly<Record<Exclude<LossKernel, ''>, string>> = {
  liger: 'Liger makes logits and their gradients chunk by chunk in forward',
  chunked: 'Unsloth makes logits and their gradients chunk by chunk in forward, up to 4 GiB at once',
  cut: 'cut cross entropy makes no logits',
  'in place': "Unsloth's kernel overwrites the logits with their gradient"
};

/** Head and loss in one kernel; or the last norm's backward, where that needs more. */
export function kernelLossPart(step: Step, kernel: Exclude<LossKernel, ''>, norms: boolean): Part {
  const { settings, shapes, tokens } = step;
  const { hidden, vocab } = shapes;
  const w = restBytes(settings);
  const c = computeBytes(settings);
  const rows = chunkRows(kernel, tokens, vocab, hidden);
  const chunks = tokens > rows ? 2 : 1;
  const logits: Readonly<Record<Exclude<LossKernel, ''>, readonly [number, string]>> = {
    liger: [c * (chunks * vocab + hidden) * rows, `c (${chunks} V + H) chunk`],
    chunked: [4 * vocab * rows, '4 V chunk'],
    cut: [8 * vocab + 12 * tokens, '8 V + 12 tokens'],
    'in place': [c * vocab * tokens, 'c V tokens']
  };
  const [bytes, formula] = logits[kernel];
  const states = (2 * w + (kernel === 'cut' && c !== w ? 2 * c : 0)) * hidden * tokens;
  const copy = c !== w ? 2 * step.headElements : 0;
  const norm = norms || shapes.norm === 'layer' ? 0 : 20 * hidden * tokens;
  return part(
    'loss',
    Math.max(bytes + states + copy, norm),
    `${formula} + 2 w H tokens${copy ? ' + 2 V H' : ''}` + (norm ? ', at least 20 H tokens' : ''),
    { vocab, tokens, chunk: rows },
    SAYS[kernel]
  );
}

/** Tokens whose logits are there at once. */
function chunkRows(kernel: LossKernel, tokens: number, vocab: number, hidden: number): number {
  if (kernel === 'liger') {
    const wanted = Math.ceil(tokens / Math.ceil(vocab / hidden));
    let rows = 1;
    while (rows < wanted) {
      rows *= 2;
    }
    return Math.min(tokens, rows);
  }
  if (kernel === 'chunked') {
    const size = 4 * vocab * tokens;
    return size <= CHUNK_TARGET ? tokens : Math.ceil(tokens / (4 * Math.ceil(size / (4 * CHUNK_TARGET))));
  }
  return kernel === 'cut' ? 0 : tokens;
}

/** Bytes of a trained head's gradient while a kernel sums it, beyond what stays. */
export function headGradientSum({ headElements, settings }: Step, kernel: LossKernel): number {
  const w = settings.weight_bytes;
  const c = computeBytes(settings);
  if (kernel === 'liger') {
    return (w === 4 && c !== 4 ? w : w + c + 4) * headElements;
  }
  return kernel === 'cut' || kernel === 'chunked' ? (c + (w !== c ? w : 0)) * headElements : 0;
}
