/** What an optimizer keeps and what its update needs for a moment: the twin of workbench/memory/optimizers.py. */
import { sum, UnknownError } from './shapes';

type Kept = 'own' | 'float32' | '8bit' | 'torchao 8bit' | 'torchao 4bit' | 'factored' | 'muon';

/** Rows, columns (1 for a vector) and copies of a trained tensor. */
export type Trained = readonly [rows: number, columns: number, copies: number];

interface Optimizer {
  /** Values kept for every trained element. */
  readonly moments: number;
  readonly kept: Kept;
  /** Whether large tensors' state lies in host memory. */
  readonly paged: boolean;
  /** Lists of all tensors that the update makes on CUDA. */
  readonly lists: number;
  /** Values of scratch for each element of the largest tensor, in float32. */
  readonly largest: number;
}

const PLAIN: Optimizer = { moments: 2, kept: 'own', paged: false, lists: 0, largest: 0 };

const OPTIMIZERS: Readonly<Record<string, Partial<Optimizer>>> = {
  adamw_torch: { lists: 1 },
  adamw_torch_fused: {},
  sgd: { moments: 0 },
  adagrad: { moments: 1, lists: 2 },
  rmsprop: { moments: 1, lists: 1 },
  adafactor: { moments: 0, kept: 'factored', largest: 2 },
  adamw_8bit: { moments: 2, kept: '8bit' },
  adamw_bnb_8bit: { moments: 2, kept: '8bit' },
  paged_adamw_8bit: { moments: 2, kept: '8bit', paged: true },
  paged_adamw_32bit: { moments: 2, kept: 'float32', paged: true },
  ademamix: { moments: 3, kept: 'float32' },
  ademamix_8bit: { moments: 3, kept: '8bit' },
  paged_ademamix_32bit: { moments: 3, kept: 'float32', paged: true },
  paged_ademamix_8bit: { moments: 3, kept: '8bit', paged: true },
  lion_32bit: { moments: 1, kept: 'float32' },
  lion_8bit: { moments: 1, kept: '8bit' },
  paged_lion_32bit: { moments: 1, kept: 'float32', paged: true },
  paged_lion_8bit: { moments: 1, kept: '8bit', paged: true },
  rmsprop_bnb: { moments: 1, kept: 'float32' },
  rmsprop_bnb_32bit: { moments: 1, kept: 'float32' },
  rmsprop_bnb_8bit: { moments: 1, kept: '8bit' },
  adamw_torch_8bit: { moments: 2, kept: 'torchao 8bit' },
  adamw_torch_4bit: { moments: 2, kept: 'torchao 4bit' },
  schedule_free_adamw: { moments: 2, lists: 1 },
  schedule_free_radam: { moments: 2 },
  schedule_free_sgd: { moments: 1 },
  muon: { moments: 1, kept: 'muon', largest: 2 }
};

const SMALLEST_EIGHT_BIT = 4096;
const BLOCK = 256;
const SMALLEST_PAGED = 100_000;
const CODE_BOOK: Readonly<Partial<Record<Kept, number>>> = { 'torchao 8bit': 4 * 256, 'torchao 4bit': 4 * 16 };

export function optimizerOf(optim: string): Optimizer {
  const found = OPTIMIZERS[optim];
  if (found === undefined) {
    throw new UnknownError(`Cannot estimate memory for optim='${optim}'.`);
  }
  return { ...PLAIN, ...found };
}

/** Bytes of the state on the device; `embeddings` of the first tensors are embedding and head. */
export function stateOf(
  optimizer: Optimizer,
  tensors: readonly Trained[],
  size: number,
  embeddings: number,
  device: string
): number {
  if (optimizer.kept === 'muon') {
    const matrices = tensors.map(([rows, columns, copies], index) =>
      columns > 1 ? copies * rows * columns * (index < embeddings ? 2 : 1) : 0
    );
    return size * sum(matrices);
  }
  const now = { ...optimizer, paged: optimizer.paged && device === 'cuda' };
  return sum(tensors.map((tensor, index) => tensor[2] * bytesOf(now, tensor, size, index < Math.min(1, embeddings))));
}

function bytesOf(optimizer: Optimizer, [rows, columns]: Trained, size: number, wide: boolean): number {
  const { kept, moments, paged } = optimizer;
  const count = rows * columns;
  if (kept === 'factored') {
    return 4 * (columns === 1 ? rows : rows + columns);
  }
  if (kept === 'own') {
    return moments * count * size;
  }
  const book = CODE_BOOK[kept];
  if (book !== undefined) {
    const codes = kept === 'torchao 8bit' ? count : Math.floor(count / 2);
    const whole = count < SMALLEST_EIGHT_BIT || count % BLOCK > 0;
    return moments * (whole ? count * size : codes + 4 * Math.floor(count / BLOCK) + book);
  }
  const away = paged && count >= SMALLEST_PAGED;
  if (kept === 'float32' || wide || count < SMALLEST_EIGHT_BIT) {
    return away ? 0 : 4 * moments * count;
  }
  const scales = 4 * moments * Math.ceil(count / BLOCK);
  return away ? scales : moments * count + scales;
}
