/** Whether the model received this batch: the badge, and the proof or the first difference with cause and fix. */
import type { BatchPayload, BatchVerdict } from '../wire';
import { visiblePieces } from './characters';
import { laneName } from './batchWords';
import { codeLine } from './codeLine';
import { formatNumber, h, icon, on } from './component';
import type { Child, Component, Trans } from './component';

export function verdictBadge(verdict: BatchVerdict, trans: Trans): HTMLElement {
  const { state, step } = verdict;
  switch (state) {
    case 'agrees':
      return h(
        'span',
        { class: 'wb-badge wb-ok' },
        icon('check'),
        step === null ? trans.__('Agrees') : trans.__('Agrees with step %1', step)
      );
    case 'differs':
      return h(
        'span',
        { class: 'wb-badge wb-bad' },
        icon('cross'),
        step === null ? trans.__('Differs') : trans.__('Differs from step %1', step)
      );
    case 'unchecked':
      return h('span', { class: 'wb-badge wb-none' }, icon('unknown'), trans.__('Not checked'));
  }
}

/** `a`, `b` and `c` */
function listed(names: readonly string[], trans: Trans): readonly Child[] {
  return names.flatMap((name, index) => {
    const separator = index === 0 ? '' : index === names.length - 1 ? ` ${trans.__('and')} ` : ', ';
    return [separator, h('code', {}, name)];
  });
}

function proof(verdict: BatchVerdict, trans: Trans): HTMLElement {
  const { arrays, values, step, micro } = verdict;
  const place =
    step === null
      ? trans.__('Captured in forward(): ')
      : micro === 0
        ? trans.__('Captured in forward() at step %1: ', step)
        : trans.__('Captured in forward() at step %1, micro batch %2: ', step, micro);
  return h(
    'div',
    { class: 'wb-finding wb-good' },
    icon('check'),
    h(
      'div',
      {},
      h('b', { class: 'wb-h' }, trans.__('The model received exactly this batch.')),
      ' ',
      place,
      ...listed(arrays, trans),
      `, ${formatNumber(arrays.length)} × ${trans.__('%1 values, all equal.', formatNumber(values))}`
    )
  );
}

function shown(value: number | null): string {
  return value === null ? '—' : String(value);
}

/** Where the first difference is, what was planned and what came. */
function firstDifference(payload: BatchPayload, trans: Trans): readonly Child[] {
  const { difference, where, equal, counts, values } = payload.verdict;
  if (difference === null) {
    return [];
  }
  const column = difference.index[1];
  const document = where === null ? undefined : payload.lanes[where.lane]?.documents[where.document];
  const place =
    where === null || document === undefined || column === undefined
      ? ''
      : trans.__(
          ', %1 %2, index %3 (data row %4, marked ≠ above)',
          laneName(payload, trans),
          where.lane,
          formatNumber(document.start + column - document.at),
          document.row
        );
  const sides =
    difference.ours === null && difference.theirs === null
      ? difference.what
      : trans.__('planned %1, received %2', shown(difference.ours), shown(difference.theirs));
  const many = Object.entries(counts).flatMap(([key, count], index) => [
    index === 0 ? ' ' : ', ',
    trans.__('%1 of %2 ', formatNumber(count), formatNumber(values)),
    h('code', {}, key),
    index === Object.keys(counts).length - 1 ? trans._n(' value differs.', ' values differ.', count) : ''
  ]);
  return [
    trans.__('First difference: '),
    h('code', {}, difference.key),
    place,
    `: ${sides}.`,
    ...many,
    ...(equal.length === 0 ? [] : [' ', ...listed(equal, trans), trans._n(' is equal.', ' are equal.', equal.length)])
  ];
}

function tokenText(text: string): string {
  return visiblePieces(text)
    .map(piece => piece.shown)
    .join('');
}

function table(verdict: BatchVerdict, trans: Trans): HTMLElement | null {
  const { window } = verdict;
  if (window === null) {
    return null;
  }
  const { index, text, ours, theirs } = window;
  const row = (name: string, cells: readonly Child[]): HTMLElement =>
    h('tr', {}, h('th', { scope: 'row' }, name), ...cells);
  const differs = (at: number): boolean => ours[at] !== theirs[at];
  return h(
    'div',
    { class: 'wb-scroll', role: 'group', tabindex: 0, 'aria-label': trans.__('Around the first difference') },
    h(
      'table',
      { class: 'wb-difft' },
      row(
        trans.__('token'),
        text.map(item => h('td', { dir: 'auto' }, tokenText(item)))
      ),
      row(
        trans.__('index in the arrays'),
        index.map(item => h('td', {}, String(item)))
      ),
      row(
        trans.__('planned %1', window.key),
        ours.map((item, at) => h('td', differs(at) ? { class: 'wb-plan' } : {}, shown(item ?? null)))
      ),
      row(
        trans.__('forward() received'),
        theirs.map((item, at) =>
          h(
            'td',
            differs(at) ? { class: 'wb-got' } : {},
            shown(item ?? null),
            differs(at) ? h('span', { class: 'wb-vh' }, trans.__(' differs')) : null
          )
        )
      )
    )
  );
}

export interface VerdictActions {
  nextDifference(): void;
}

/** The strip under the lanes; empty where nothing was captured. */
export function verdictStrip(actions: VerdictActions, trans: Trans): Component<BatchPayload> {
  const node = h('div', { class: 'wb-proof' });
  let listeners = new AbortController();
  let fix: Component<string> | null = null;
  const clear = (): void => {
    listeners.abort();
    listeners = new AbortController();
    fix?.dispose();
    fix = null;
    node.replaceChildren();
  };
  const failure = (payload: BatchPayload): HTMLElement => {
    const { verdict } = payload;
    const { cause } = verdict;
    const next = h(
      'button',
      { class: 'wb-btn', type: 'button' },
      trans.__('Next difference'),
      h('span', { class: 'wb-kbd', 'aria-hidden': 'true' }, 'n')
    );
    on(next, 'click', () => actions.nextDifference(), listeners.signal);
    fix = verdict.fix === '' ? null : codeLine({ code: verdict.fix }, trans);
    const isError = cause === null || cause.severity === 'error';
    return h(
      'div',
      { class: `wb-finding ${isError ? 'wb-error' : 'wb-warning'}` },
      icon(isError ? 'cross' : 'warning'),
      h(
        'div',
        {},
        cause === null ? null : h('span', { class: 'wb-code-no' }, cause.code),
        cause === null ? null : ' ',
        h('b', { class: 'wb-h' }, cause?.message ?? trans.__('The model received another batch.')),
        ' ',
        ...firstDifference(payload, trans),
        table(verdict, trans),
        h('p', {}, [verdict.effect, cause?.remedy ?? ''].filter(text => text !== '').join(' ')),
        fix === null ? null : h('div', { class: 'wb-fixline' }, fix.node),
        h('div', { class: 'wb-acts' }, next)
      )
    );
  };
  return {
    node,
    update: payload => {
      clear();
      if (payload.verdict.state === 'agrees') {
        node.append(proof(payload.verdict, trans));
      } else if (payload.verdict.state === 'differs') {
        node.append(failure(payload));
      }
    },
    dispose: clear
  };
}
