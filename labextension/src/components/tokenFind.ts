/** The search field: a text or an id, how many places it has, and which of them one is at. */
import { formatNumber, h, on } from './component';
import type { Trans } from './component';

export interface FindState {
  /** Places in this row, and which of them is the current one (from 0), null for none. */
  readonly places: number;
  readonly at: number | null;
  /** Rows with it; null where it is not known. */
  readonly rows: number | null;
}

export interface TokenFind {
  readonly node: HTMLElement;
  readonly text: string;
  open(): void;
  update(state: FindState | null): void;
}

export interface FindActions {
  find(text: string, back: boolean): void;
  /** The field is done with: back to the tokens. */
  leave(): void;
}

function words(state: FindState, trans: Trans): string {
  if (state.places === 0 && state.rows === 0) {
    return trans.__('not found');
  }
  const here =
    state.at === null
      ? trans.__('%1 here', formatNumber(state.places))
      : trans.__('%1 of %2', formatNumber(state.at + 1), formatNumber(state.places));
  return state.rows === null
    ? here
    : `${here}, ${trans._n('in %2 row', 'in %2 rows', state.rows, formatNumber(state.rows))}`;
}

export function tokenFind(actions: FindActions, trans: Trans, signal: AbortSignal): TokenFind {
  const input = h('input', {
    class: 'wb-input wb-find',
    type: 'search',
    placeholder: trans.__('Text or token id'),
    'aria-label': trans.__('Find text or token id: Enter next, Shift+Enter previous')
  });
  const count = h('span', { class: 'wb-sub wb-num wb-found', role: 'status' });
  const node = h('span', { class: 'wb-grp wb-finder', hidden: true }, input, count);
  on(
    input,
    'keydown',
    event => {
      event.stopPropagation();
      if (event.key === 'Enter' && input.value !== '') {
        event.preventDefault();
        actions.find(input.value, event.shiftKey);
      } else if (event.key === 'Escape') {
        event.preventDefault();
        node.hidden = true;
        actions.leave();
      }
    },
    signal
  );
  on(input, 'input', () => count.replaceChildren(), signal);
  return {
    node,
    get text() {
      return node.hidden ? '' : input.value;
    },
    open: () => {
      node.hidden = false;
      input.focus();
      input.select();
    },
    update: state => {
      count.textContent = state === null ? '' : words(state, trans);
    }
  };
}
