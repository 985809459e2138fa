/**
 * What tokens can be coloured by, and how a value becomes a step.
 *
 * A step is a fill and an underline of its own thickness or pattern; a group (document, reason) has a letter too. No
 * meaning rests on the colour.
 */
import type { Row } from '../wire';
import { formatNumber, formatShare } from './component';
import type { Trans } from './component';

export type Measure = 'loss' | 'probability' | 'base_delta' | 'advantage';
export type ColourBy = 'trained' | 'role' | 'source' | 'document' | 'reason' | Measure;

export const COLOURS: readonly ColourBy[] = [
  'trained',
  'role',
  'source',
  'document',
  'reason',
  'loss',
  'probability',
  'base_delta',
  'advantage'
];
const MEASURES: ReadonlySet<string> = new Set(['loss', 'probability', 'base_delta', 'advantage']);

/** How many looks there are for groups: four underlines by three fills. */
const GROUP_LOOKS = 12;

export interface Colouring {
  readonly by: ColourBy;
  /** Class of a token, or nothing. */
  classOf(token: number): string;
  /** Letter before the first token of a group, else null. */
  markOf(token: number): string | null;
}

export const plainColouring: Colouring = { by: 'trained', classOf: () => '', markOf: () => null };

export function isColour(value: string): value is ColourBy {
  return COLOURS.some(by => by === value);
}

export function isMeasure(by: ColourBy): by is Measure {
  return MEASURES.has(by);
}

export function colourName(by: ColourBy, trans: Trans): string {
  const names: Readonly<Record<ColourBy, string>> = {
    trained: trans.__('Trained'),
    role: trans.__('Role'),
    source: trans.__('Source'),
    document: trans.__('Document'),
    reason: trans.__('Reason'),
    loss: trans.__('Loss'),
    probability: trans.__('Probability'),
    base_delta: trans.__('Difference to base'),
    advantage: trans.__('Advantage')
  };
  return names[by];
}

/** Whether the row has what a colour shows. */
export function isThere(row: Row, by: ColourBy): boolean {
  if (isMeasure(by)) {
    return row.measures[by]?.some(value => value !== null) === true;
  }
  return by !== 'document' || row.documents.length > 0;
}

/** Colours that a picker names: an advantage is a thing of rollouts only. */
export function offered(row: Row): readonly ColourBy[] {
  return COLOURS.filter(by => by !== 'advantage' || isThere(row, by));
}

/** The colour behind one, of those that the row has. */
export function nextColour(row: Row, by: ColourBy): ColourBy {
  const there = offered(row).filter(item => isThere(row, item));
  return there[(there.indexOf(by) + 1) % there.length] ?? 'trained';
}

/** Lower edges of the steps; a value below the first has step 0. */
const EDGES: Readonly<Record<Measure, readonly number[]>> = {
  loss: [0.1, 0.5, 1, 2, 4],
  probability: [0.02, 0.1, 0.3, 0.6, 0.9],
  base_delta: [-2, -0.5, -0.1, 0.1, 0.5, 2],
  advantage: [-1, -0.25, -0.01, 0.01, 0.25, 1]
};

/** Class stem: blue or orange from weak to strong, or from orange over nothing to blue. */
const STEMS: Readonly<Record<Measure, string>> = {
  loss: 'wb-hot',
  probability: 'wb-cold',
  base_delta: 'wb-div',
  advantage: 'wb-div'
};

function stepOf(by: Measure, value: number): number {
  const edges = EDGES[by];
  const above = edges.findIndex(edge => value < edge);
  return above < 0 ? edges.length : above;
}

export function valueOf(row: Row, by: Measure, token: number): number | null {
  return row.measures[by]?.[token] ?? null;
}

/** The number as it is written in the inspector. */
export function formatValue(by: Measure, value: number, trans: Trans): string {
  const signed = `${value > 0 ? '+' : ''}${formatNumber(value, 2)}`.replace('-', '−');
  switch (by) {
    case 'loss':
      return trans.__('%1 nats', formatNumber(value, 2));
    case 'probability':
      return value > 0 && value < 0.001 ? trans.__('under %1', formatShare(0.001, 1)) : formatShare(value, 1);
    case 'base_delta':
      return value >= 0
        ? trans.__('%1 nats, likelier than the base finds it', signed)
        : trans.__('%1 nats, less likely than the base finds it', signed);
    case 'advantage':
      return signed;
  }
}

export interface Step {
  readonly class: string;
  readonly words: string;
}

/** The legend's scale: one entry a step, with its numbers. */
export function stepsOf(by: Measure, trans: Trans): readonly Step[] {
  const edges = EDGES[by];
  const write = (edge: number): string =>
    by === 'probability' ? formatShare(edge, 1) : formatNumber(edge).replace('-', '−');
  const stem = STEMS[by];
  return [...edges, null].map((edge, index) => {
    const below = edges[index - 1];
    const words =
      below === undefined
        ? trans.__('under %1', write(edge ?? 0))
        : edge === null
          ? trans.__('%1 and more', write(below))
          : trans.__('%1 to %2', write(below), write(edge));
    return { class: `${stem}${index}`, words };
  });
}

export function letterOf(index: number): string {
  return index < 26
    ? String.fromCharCode(97 + index)
    : `${letterOf(Math.floor(index / 26) - 1)}${letterOf(index % 26)}`;
}

export function groupClass(index: number): string {
  return `wb-g${index % GROUP_LOOKS}`;
}

/** Reasons in the order in which the row has them, each once. */
export function reasonsIn(row: Row): readonly number[] {
  return [...new Set(row.tokens.reason)];
}

function documentAt(row: Row, token: number): number {
  return row.documents.findIndex(item => token >= item.start && token < item.end);
}

function byGroup(by: ColourBy, groupAt: (token: number) => number, name: (group: number) => string): Colouring {
  return {
    by,
    classOf: token => (groupAt(token) < 0 ? '' : groupClass(groupAt(token))),
    markOf: token => {
      const group = groupAt(token);
      return group < 0 || (token > 0 && groupAt(token - 1) === group) ? null : name(group);
    }
  };
}

function byMeasure(row: Row, by: Measure): Colouring {
  return {
    by,
    classOf: token => {
      const value = valueOf(row, by, token);
      return value === null || row.tokens.trained[token] !== 1 ? '' : `${STEMS[by]}${stepOf(by, value)}`;
    },
    markOf: () => null
  };
}

export function colouring(row: Row, by: ColourBy): Colouring {
  if (!isThere(row, by)) {
    return plainColouring;
  }
  if (isMeasure(by)) {
    return byMeasure(row, by);
  }
  if (by === 'reason') {
    const order = new Map(reasonsIn(row).map((reason, index) => [reason, index]));
    return byGroup(by, token => order.get(row.tokens.reason[token] ?? -1) ?? -1, letterOf);
  }
  if (by === 'document') {
    return byGroup(
      by,
      token => documentAt(row, token),
      group => String(group + 1)
    );
  }
  return { ...plainColouring, by };
}
