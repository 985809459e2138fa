/** Predicted beside measured: two bars on one scale, and a table of differences. */
import { FIT_KINDS, kindsOf, middle, shownBytes } from '../memory/fitModel';
import type { Breakdown, FitKind } from '../memory/fitModel';
import type { FitMeasurement } from '../wire/fit';
import { formatNumber, h, icon } from './component';
import type { Trans } from './component';
import { kindWord } from './fitBarWords';
import type { Unit } from './fitBarWords';
import { fitStack } from './fitBarStack';
import type { Kinds } from './fitBarStack';

type Figure = 'live' | 'reserved' | 'shown';

interface Compared {
  readonly predicted: number;
  readonly measured: number | null;
}

/** The figures of both, those that were measured. */
export function compared(made: Breakdown, measured: FitMeasurement): Readonly<Record<Figure, Compared>> {
  return {
    live: { predicted: made.live, measured: measured.live },
    reserved: { predicted: middle(made.reserved), measured: measured.reserved },
    shown: { predicted: shownBytes(made), measured: measured.shown }
  };
}

/** The largest relative error of the figures that were measured; null where none was. */
export function errorOf(made: Breakdown, measured: FitMeasurement): number | null {
  const errors = Object.values(compared(made, measured)).flatMap(item =>
    item.measured === null || item.measured <= 0 ? [] : [Math.abs(item.predicted - item.measured) / item.measured]
  );
  return errors.length === 0 ? null : Math.max(...errors);
}

export function errorBadge(made: Breakdown, measured: FitMeasurement, trans: Trans): HTMLElement | null {
  const error = errorOf(made, measured);
  return error === null
    ? null
    : h(
        'span',
        { class: 'wb-badge wb-info' },
        icon('check'),
        trans.__('Predicted within %1 %', formatNumber(Math.ceil(error * 1000) / 10, 1))
      );
}

const none = Object.fromEntries(FIT_KINDS.map(kind => [kind, 0])) as Kinds;

/** What was measured as a bar: kinds where they are known, else what is alive in one piece. */
function measuredKinds(measured: FitMeasurement, made: Breakdown): Kinds {
  const live = measured.live ?? made.live;
  const held = measured.reserved === null ? 0 : Math.max(0, measured.reserved - live);
  const context = measured.shown === null ? 0 : Math.max(0, measured.shown - Math.max(live, measured.reserved ?? 0));
  return { ...none, ...(measured.kinds ?? { other: live }), allocator: held, context };
}

const sum = (kinds: Kinds): number => FIT_KINDS.reduce((total, kind) => total + kinds[kind], 0);

function signed(bytes: number, unit: Unit): string {
  const text = unit.text(Math.abs(bytes));
  return /[1-9]/.test(text) ? `${bytes < 0 ? '−' : '+'}${text}` : text;
}

/** The two bars and the table. */
export function fitMeasured(
  made: Breakdown,
  measured: FitMeasurement,
  room: number | null,
  unit: Unit,
  trans: Trans
): readonly HTMLElement[] {
  const [predicted, found] = [kindsOf(made), measuredKinds(measured, made)];
  const top = 1.05 * Math.max(sum(predicted), sum(found), Math.min(room ?? 0, 2 * sum(found)));
  const bars = (
    [
      [trans.__('Predicted'), predicted],
      [trans.__('Measured'), found]
    ] as const
  ).flatMap(([word, kinds]) => {
    const names = kinds === found && measured.kinds === null ? { other: trans.__('Tensors alive') } : {};
    const stack = fitStack({ label: word, each: 1.7, names }, unit, trans);
    stack.draw(kinds, room !== null && room <= top ? room : null, top);
    return [
      h('span', {}, word),
      stack.node,
      h('span', { class: 'wb-v' }, h('b', {}, unit.text(sum(kinds))), ` ${unit.name}`)
    ];
  });
  return [h('div', { class: 'wb-pm' }, ...bars), table(made, measured, unit, trans)];
}

interface Column {
  readonly word: string;
  readonly predicted: number;
  readonly measured: number | null;
  readonly isTotal: boolean;
}

function columns(made: Breakdown, measured: FitMeasurement, unit: Unit, trans: Trans): readonly Column[] {
  const predicted = kindsOf(made);
  const found = measured.kinds;
  const kinds = found === null ? [] : FIT_KINDS.filter(kind => predicted[kind] > 0 && found[kind] !== undefined);
  const words: Readonly<Record<Figure, string>> = {
    live: trans.__('alive'),
    reserved: trans.__('reserved'),
    shown: unit.of === 'host' ? trans.__('process') : trans.__('nvidia-smi')
  };
  const ofKind = (kind: FitKind): Column => ({
    word: kindWord(kind, trans, unit.of),
    predicted: predicted[kind],
    measured: found?.[kind] ?? null,
    isTotal: false
  });
  const totals = Object.entries(compared(made, measured)) as [Figure, Compared][];
  return [
    ...kinds.map(ofKind),
    ...totals
      .filter(([, item]) => item.measured !== null)
      .map(([name, item]) => ({ word: words[name], ...item, isTotal: true }))
  ];
}

function table(made: Breakdown, measured: FitMeasurement, unit: Unit, trans: Trans): HTMLElement {
  const all = columns(made, measured, unit, trans);
  const row = (word: string, value: (column: Column) => string): HTMLElement =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, word),
      ...all.map(column => h('td', { class: column.isTotal ? 'wb-tot' : '' }, value(column)))
    );
  const known = (bytes: number | null): string => (bytes === null ? '–' : unit.text(bytes));
  return h(
    'div',
    { class: 'wb-tsc', tabindex: 0 },
    h(
      'table',
      { class: 'wb-dt' },
      h('caption', { class: 'wb-vh' }, trans.__('Predicted and measured, %1', unit.name)),
      h('tr', {}, h('th', { scope: 'col' }, unit.name), ...all.map(column => h('th', { scope: 'col' }, column.word))),
      row(trans.__('Predicted'), column => unit.text(column.predicted)),
      row(trans.__('Measured'), column => known(column.measured)),
      row(trans.__('Difference'), column =>
        column.measured === null ? '–' : signed(column.predicted - column.measured, unit)
      )
    )
  );
}
