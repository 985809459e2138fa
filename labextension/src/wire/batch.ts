/** A collated batch: lanes of documents, figures, the verdict beside what `forward()` received. */
import { array, dictionary, integer, members, nullable, number, object, oneOf, string, withDefault } from '../parse';
import type { Members, Parsed, Parser } from '../parse';
import { measure, numbers } from './columns';
import { difference, finding } from './findings';
import { row } from './tokens';

export const BATCH_MIME = 'application/vnd.finetune-workbench.batch+json';

export interface BatchDocument {
  /** Data row. */
  readonly row: number;
  /** First token, counted in the lane. */
  readonly start: number;
  /** First column in the batch's arrays. */
  readonly at: number;
  readonly length: number;
  readonly trained: number;
  /** Trained stretches as [start, end), counted in the lane. */
  readonly spans: readonly (readonly [number, number])[];
  readonly first_masked: boolean;
  readonly differs: number;
  readonly loss: number | null;
}

export interface BatchLane {
  readonly documents: readonly BatchDocument[];
  readonly tokens: number;
  readonly padding: number;
}

function spansOf(value: unknown, path: string): readonly (readonly [number, number])[] {
  const edges = numbers(value, path, null);
  return edges.flatMap((start, index) => (index % 2 === 0 ? [[start, edges[index + 1] ?? start] as const] : []));
}

/** A lane's documents are columns; `first` is where the lane begins in the arrays. */
function lane(value: unknown, path: string, first: number): BatchLane {
  const from = members(value, path);
  const rows = numbers(from['row'], `${path}.row`, null);
  const column = (name: string): readonly number[] => numbers(from[name], `${path}.${name}`, rows.length);
  const [length, trained, masked, differs] = ['length', 'trained', 'first_masked', 'differs'].map(column);
  const loss = nullable(measure)(from['loss'], `${path}.loss`);
  const spans = spansOf(from['spans'], `${path}.spans`);
  let start = 0;
  let next = 0;
  const documents = rows.map((row, index): BatchDocument => {
    const tokens = length?.[index] ?? 0;
    const begin = next;
    while ((spans[next]?.[0] ?? Infinity) < start + tokens) {
      next += 1;
    }
    start += tokens;
    return {
      row,
      start: start - tokens,
      at: first + start - tokens,
      length: tokens,
      trained: trained?.[index] ?? 0,
      spans: spans.slice(begin, next),
      first_masked: masked?.[index] === 1,
      differs: differs?.[index] ?? 0,
      loss: loss?.[index] ?? null
    };
  });
  return { documents, tokens: start, padding: integer(from['padding'], `${path}.padding`) };
}

const lanes: Parser<readonly Members[]> = array(members);

const verdict = object({
  state: oneOf('agrees', 'differs', 'unchecked'),
  step: nullable(integer),
  micro: withDefault(integer, 0),
  arrays: array(string),
  values: integer,
  difference: nullable(difference),
  counts: dictionary(integer),
  equal: array(string),
  cause: nullable(finding),
  effect: withDefault(string, ''),
  fix: withDefault(string, ''),
  where: nullable(object({ lane: integer, document: integer })),
  window: nullable(
    object({
      key: string,
      index: array(integer),
      text: array(string),
      ours: array(nullable(integer)),
      theirs: array(nullable(integer))
    })
  )
});
export type BatchVerdict = Parsed<typeof verdict>;

/** Answer to `document`: its tokens as the model gets them, and where what came differs. */
export const openedDocument = object({
  lane: integer,
  document: integer,
  row,
  differences: withDefault(
    array(object({ token: integer, key: string, ours: nullable(integer), theirs: nullable(integer) })),
    []
  )
});
export type OpenedDocument = Parsed<typeof openedDocument>;

const batchPayload = object({
  version: oneOf(1),
  handle: nullable(string),
  title: string,
  subtitle: withDefault(string, ''),
  layout: oneOf('packed', 'padded'),
  width: integer,
  arrays: array(object({ name: string, shape: array(integer) })),
  figures: object({
    slots: integer,
    tokens: integer,
    padding: integer,
    trained: integer,
    documents: integer,
    loss: nullable(number)
  }),
  lanes,
  cu_seqlens: nullable((value: unknown, path: string) => numbers(value, path, null)),
  verdict,
  opened: nullable(openedDocument),
  /** Python name whose items are data rows; null where nothing holds them. */
  rows: nullable(string),
  code: string
});
export type BatchPayload = Omit<Parsed<typeof batchPayload>, 'lanes'> & { readonly lanes: readonly BatchLane[] };

/** Packed rows stand one behind the other in the arrays, padded rows one below the other. */
export function parseBatch(value: unknown): BatchPayload {
  const found = batchPayload(value, 'batch');
  let first = 0;
  const made = found.lanes.map((item, index) => {
    const read = lane(item, `batch.lanes[${index}]`, first);
    first += found.layout === 'packed' ? read.tokens : 0;
    return read;
  });
  return { ...found, lanes: made };
}
