/** Small things that every part of the picker says: names in code type, cells, and a part that is drawn only when it changed. */
import type { PickerCell, PickerState } from '../wire';
import { formatNumber, h } from './component';
import type { Child, Trans } from './component';

export type TypeMatch = PickerState['types'][number];

/** A sentence with names in backticks. */
export function sentence(text: string): Child[] {
  return text.split('`').map((part, index) => (index % 2 === 1 ? h('code', {}, part) : part));
}

/** Names in code type, with commas between them. */
export function names(items: readonly string[]): Child[] {
  return items.flatMap((item, index) => [index === 0 ? '' : ', ', h('code', {}, item)]);
}

export function chosenType(state: PickerState): TypeMatch | null {
  return state.types.find(item => item.name === state.type) ?? null;
}

/** What a cell holds: text, messages one a line, or the word for nothing. */
export function cellNode(cell: PickerCell, trans: Trans): HTMLElement {
  if (cell === null || cell === '') {
    return h('p', { class: 'wb-empty' }, cell === null ? trans.__('null') : trans.__('empty'));
  }
  if (typeof cell === 'string') {
    return h('p', { dir: 'auto' }, cell);
  }
  const more =
    cell.more === 0 ? null : h('p', { class: 'wb-sub' }, trans._n('%1 more message', '%1 more messages', cell.more));
  const lines = cell.said.map(item =>
    h('p', { dir: 'auto' }, h('b', { class: 'wb-who' }, `${item.role}:`), ` ${item.text}`)
  );
  return h('div', { class: 'wb-said' }, ...lines, more);
}

export function rowName(row: number, trans: Trans): string {
  return trans.__('Row %1', formatNumber(row));
}

/** Draw `host` anew where what it shows is another value; keeps how far it was scrolled. */
export function redraw(host: HTMLElement, shown: unknown, make: () => readonly Child[]): void {
  const key = JSON.stringify(shown);
  if (host.dataset['shown'] === key) {
    return;
  }
  host.dataset['shown'] = key;
  const left = host.querySelector('.wb-tscroll')?.scrollLeft ?? 0;
  host.replaceChildren(...make().filter(child => child !== null));
  const scrolled = host.querySelector('.wb-tscroll');
  if (scrolled !== null) {
    scrolled.scrollLeft = left;
  }
}
