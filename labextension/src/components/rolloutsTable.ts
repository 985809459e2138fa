/** The completions of a prompt as a table; one row is the open one. */
import type { Completion, RolloutGroup } from '../wire';
import { formatNumber, h, on } from './component';
import type { Child, Component, Trans } from './component';
import { advantageWords, endedNode, reward, signed, signOf, textOf } from './rolloutsWords';

const MOST_SHOWN_TEXT = 400;
/** Nodes for all rows; the rest of a thousand is for the tokens of the open completion and the card around. */
const NODES = 300;
/** Of a row, without its reward functions. */
const NODES_PER_ROW = 17;

export interface TableState {
  readonly group: RolloutGroup;
  readonly rewardNames: readonly { readonly name: string; readonly weight: number }[];
  readonly order: readonly number[];
  /** Place in `order` of the open completion. */
  readonly open: number;
}

export interface RolloutsTable extends Component<TableState> {
  focus(): void;
}

/** A bar from the middle: to the right what is made likelier, to the left what is made less likely. */
function advantageCell(completion: Completion, most: number, trans: Trans): HTMLElement {
  const value = completion.advantage;
  const sign = signOf(value);
  const share = most === 0 || value === null ? 0 : Math.min(1, Math.abs(value) / most);
  const bar = h('span', { class: `wb-advbar wb-advbar-${sign}`, 'aria-hidden': 'true' });
  bar.style.setProperty('--wb-share', `${(share * 50).toFixed(1)}%`);
  return h(
    'td',
    { class: 'wb-num wb-advcell' },
    h('span', { class: `wb-adv wb-adv-${sign}`, title: advantageWords(value, trans) }, signed(value)),
    bar,
    h('span', { class: 'wb-vh' }, ` ${advantageWords(value, trans)}`)
  );
}

function rowNode(completion: Completion, state: TableState, most: number, trans: Trans): HTMLElement {
  const text = textOf(completion);
  const shown = text.length > MOST_SHOWN_TEXT ? `${text.slice(0, MOST_SHOWN_TEXT)}…` : text;
  const steps = completion.steps.length === 0 ? '–' : completion.steps.map(step => formatNumber(step)).join(', ');
  const cells: Child[] = [
    h('th', { scope: 'row', class: 'wb-num' }, formatNumber(completion.index)),
    advantageCell(completion, most, trans),
    h('td', { class: 'wb-num' }, reward(completion.reward)),
    ...state.rewardNames.map((_, index) => h('td', { class: 'wb-num' }, reward(completion.rewards[index] ?? null))),
    h('td', { class: 'wb-num' }, formatNumber(completion.tokens)),
    h('td', {}, endedNode(completion, trans)),
    h('td', { class: 'wb-num' }, steps),
    h('td', { class: 'wb-rolltext' }, h('div', { dir: 'auto' }, shown.replace(/\n/g, '↵')))
  ];
  return h(
    'tr',
    { 'aria-rowindex': String(state.order.indexOf(state.group.completions.indexOf(completion)) + 2) },
    ...cells
  );
}

/** First and last place (not included) of the page of rows that holds the open one. */
function pageOf(state: TableState): { readonly start: number; readonly end: number } {
  const rows = Math.max(4, Math.floor(NODES / (NODES_PER_ROW + state.rewardNames.length)));
  const start = Math.floor(state.open / rows) * rows;
  return { start, end: Math.min(state.order.length, start + rows) };
}

/** A row that stands for those which are not drawn, and opens the nearest of them. */
function moreRow(words: string, columns: number, go: () => void): HTMLElement {
  const button = h('button', { type: 'button', class: 'wb-btn wb-quiet' }, words);
  button.addEventListener('click', go);
  return h('tr', { class: 'wb-morerow' }, h('td', { colspan: String(columns) }, button));
}

function head(state: TableState, trans: Trans): HTMLElement {
  const cell = (text: string, title?: string): HTMLElement => h('th', { scope: 'col', title }, text);
  return h(
    'tr',
    {},
    cell('#', trans.__('In the order they were generated')),
    cell(trans.__('Advantage')),
    cell(trans.__('Reward'), trans.__('Weighted sum of all reward functions')),
    ...state.rewardNames.map(({ name, weight }) =>
      cell(weight === 1 ? name : `${name} × ${formatNumber(weight)}`, trans.__('Reward function'))
    ),
    cell(trans.__('Tokens')),
    cell(trans.__('Ended by')),
    cell(trans.__('Step'), trans.__('Optimizer steps whose forward got it')),
    cell(trans.__('Text'))
  );
}

export function rolloutsTable(
  props: { readonly state: TableState; open(place: number): void },
  trans: Trans
): RolloutsTable {
  const listeners = new AbortController();
  const top = h('thead');
  const body = h('tbody');
  const caption = h('caption', { class: 'wb-vh' });
  const table = h('table', {}, caption, top, body);
  const node = h('div', { class: 'wb-rolltable' }, table);
  let state = props.state;
  let page = pageOf(state);
  let rows: readonly HTMLElement[] = [];

  const place = (): void => {
    rows.forEach((row, index) => {
      const isOpen = page.start + index === state.open;
      row.classList.toggle('wb-open', isOpen);
      row.setAttribute('tabindex', isOpen ? '0' : '-1');
      row.setAttribute('aria-selected', String(isOpen));
    });
  };
  const draw = (): void => {
    page = pageOf(state);
    const all = state.order.map(index => state.group.completions[index]).filter(item => item !== undefined);
    const most = Math.max(0, ...all.map(item => Math.abs(item.advantage ?? 0)));
    const columns = 7 + state.rewardNames.length;
    const { start, end } = page;
    caption.textContent = trans.__('Completions of %1', state.group.title);
    table.setAttribute('aria-rowcount', String(all.length + 1));
    top.replaceChildren(head(state, trans));
    rows = all.slice(start, end).map(item => rowNode(item, state, most, trans));
    const above = trans._n('%1 completion above', '%1 completions above', start);
    const below = trans._n('%1 completion below', '%1 completions below', all.length - end);
    body.replaceChildren(
      ...(start === 0 ? [] : [moreRow(above, columns, () => props.open(start - 1))]),
      ...rows,
      ...(end === all.length ? [] : [moreRow(below, columns, () => props.open(end))])
    );
    place();
  };
  on(
    body,
    'click',
    event => {
      const row = event.target instanceof Element ? event.target.closest('tr') : null;
      const index = rows.findIndex(drawn => drawn === row);
      if (index >= 0) {
        props.open(page.start + index);
      }
    },
    listeners.signal
  );
  draw();
  return {
    node,
    update: value => {
      const same = value.group === state.group && value.order === state.order;
      state = value;
      const { start, end } = page;
      if (same && start <= state.open && state.open < end) {
        place();
      } else {
        draw();
      }
    },
    focus: () => {
      rows[state.open - page.start]?.focus();
    },
    dispose: () => listeners.abort()
  };
}
