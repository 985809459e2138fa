/** Title, figures, legend and keys of the batch card. */
import type { BatchPayload } from '../wire';
import { verdictBadge } from './batchVerdict';
import { formatNumber, h, on } from './component';
import type { Child, Trans } from './component';

export function drawHead(node: HTMLElement, payload: BatchPayload, trans: Trans): void {
  node.replaceChildren(
    h('h3', { class: 'wb-title', dir: 'auto' }, payload.title),
    h('span', { class: 'wb-sub', dir: 'auto' }, payload.subtitle),
    h('span', { class: 'wb-spring' }),
    verdictBadge(payload.verdict, trans)
  );
}

function figure(value: string, words: string): HTMLElement {
  return h('div', { class: 'wb-kpi' }, h('b', {}, value), h('span', {}, words));
}

function percent(part: number, whole: number, digits: number): string {
  return `${formatNumber(whole === 0 ? 0 : (100 * part) / whole, digits)} %`;
}

export function drawFigures(node: HTMLElement, payload: BatchPayload, trans: Trans): void {
  const { figures, lanes, layout } = payload;
  const free = figures.slots - figures.tokens - figures.padding;
  const rest =
    layout === 'packed'
      ? trans.__('tokens, no padding, %1 slots free', formatNumber(Math.max(0, free)))
      : trans.__('tokens, %1 padding', formatNumber(figures.padding));
  const saved = lanes.length === 0 ? 1 : figures.documents / lanes.length;
  node.replaceChildren(
    figure(percent(figures.tokens, figures.slots, 1), trans.__('of %1 slots is text', formatNumber(figures.slots))),
    figure(formatNumber(figures.tokens), rest),
    figure(formatNumber(figures.trained), trans.__('trained (%1)', percent(figures.trained, figures.tokens, 0))),
    layout === 'packed'
      ? figure(`${formatNumber(saved, 1)} ×`, trans.__('fewer rows than without packing'))
      : figure(formatNumber(lanes.length), trans._n('row', 'rows', lanes.length)),
    ...(figures.loss === null ? [] : [figure(formatNumber(figures.loss, 3), trans.__('loss over the trained tokens'))])
  );
}

/** Arrays with their shapes, and `cu_seqlens` to copy. */
export function arraysLine(payload: BatchPayload, trans: Trans, signal: AbortSignal): HTMLElement {
  const names = payload.arrays.flatMap((item, index): readonly Child[] => [
    index === 0 ? '' : ', ',
    h('code', {}, item.name),
    ` (${item.shape.join(' × ')})`
  ]);
  const lengths = payload.cu_seqlens;
  const copy = h('button', { class: 'wb-link', type: 'button' }, trans.__('Copy cu_seqlens'));
  const said = h('span', { role: 'status' });
  const text = lengths === null ? '' : `[${lengths.join(', ')}]`;
  on(
    copy,
    'click',
    () => {
      navigator.clipboard.writeText(text).then(
        () => {
          said.textContent = ` ${trans.__('Copied')}`;
        },
        () => {
          said.textContent = ` ${trans.__('Select the numbers to copy them')}`;
        }
      );
    },
    signal
  );
  return h(
    'div',
    { class: 'wb-arrays wb-sub' },
    h('span', {}, ...names),
    ...(lengths === null
      ? []
      : [
          h(
            'span',
            { class: 'wb-cu' },
            h('code', {}, 'cu_seqlens'),
            ' = ',
            h('code', { class: 'wb-cuv', tabindex: 0, 'aria-label': trans.__('cu_seqlens') }, text)
          ),
          h('span', {}, copy, said)
        ])
  );
}

export function laneLegend(payload: BatchPayload, trans: Trans): HTMLElement {
  const key = (text: string): Child => h('span', { class: 'wb-kbd' }, text);
  const item = (mark: Child, words: string): HTMLElement => h('span', { class: 'wb-leg' }, mark, words);
  return h(
    'div',
    { class: 'wb-lleg' },
    payload.layout === 'packed'
      ? item(h('span', { class: 'wb-zmark', 'aria-hidden': 'true' }, '0'), trans.__('position restarts, label masked'))
      : null,
    item(h('span', { class: 'wb-tlmark' }), trans.__('trained')),
    payload.layout === 'packed'
      ? item(h('span', { class: 'wb-free2 wb-padmark' }), trans.__('room left free'))
      : item(h('span', { class: 'wb-pad2 wb-padmark' }), trans.__('padding')),
    h('span', { class: 'wb-spring' }),
    h(
      'span',
      { class: 'wb-leg' },
      key('←'),
      key('→'),
      trans.__('document'),
      key('Enter'),
      trans.__('open'),
      key('a'),
      trans.__('attention'),
      key('p'),
      trans.__('data row'),
      key('?'),
      trans.__('all keys')
    )
  );
}

export function batchKeys(trans: Trans): HTMLElement {
  const rows: readonly (readonly [string, string])[] = [
    ['← →', trans.__('document; in an opened one, token')],
    ['↑ ↓', trans.__('row of the batch')],
    ['Home End', trans.__('first, last document of the row')],
    ['Enter', trans.__('open the document, or go into its tokens')],
    ['a', trans.__('attention triangle')],
    ['n', trans.__('next difference')],
    ['p', trans.__('data row')],
    ['?', trans.__('these keys')],
    ['Esc', trans.__('back: tokens, rows, cell')]
  ];
  return h(
    'dl',
    { class: 'wb-keys', 'aria-label': trans.__('Keys') },
    ...rows.map(([keys, what]) => h('div', {}, h('dt', {}, h('span', { class: 'wb-kbd' }, keys)), h('dd', {}, what)))
  );
}
