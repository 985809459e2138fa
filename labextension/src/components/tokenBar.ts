/** The controls of the token-mask viewer: row, colours, spaces, search, next problem. */
import { formatNumber, h, icon, on } from './component';
import type { Trans } from './component';

export type ColourBy = 'trained' | 'role' | 'source';
export const COLOURS: readonly ColourBy[] = ['trained', 'role', 'source'];

export interface TokenBarActions {
  step(by: 1 | -1): void;
  goToRow(position: number): void;
  colour(by: ColourBy): void;
  spaces(on: boolean): void;
  find(text: string): void;
  nextProblem(): void;
  /** The search field is done with: back to the tokens. */
  leaveFind(): void;
}

export interface TokenBarState {
  readonly position: number;
  readonly rowCount: number;
  readonly colour: ColourBy;
  readonly spaces: boolean;
  readonly problems: number;
  /** Index of the problem at the current token, or null. */
  readonly problem: number | null;
  readonly busy: boolean;
  /** Whether no row is known or likely to have a finding. */
  readonly clean: boolean;
}

export interface TokenBar {
  readonly node: HTMLElement;
  update(state: TokenBarState): void;
  openFind(): void;
  dispose(): void;
}

function colourName(by: ColourBy, trans: Trans): string {
  switch (by) {
    case 'trained':
      return trans.__('Trained');
    case 'role':
      return trans.__('Role');
    case 'source':
      return trans.__('Source');
  }
}

function rowPicker(actions: TokenBarActions, trans: Trans, signal: AbortSignal) {
  const previous = h(
    'button',
    { class: 'wb-btn wb-icon wb-quiet', type: 'button', 'aria-label': trans.__('Previous row (k)') },
    icon('previous')
  );
  const next = h(
    'button',
    { class: 'wb-btn wb-icon wb-quiet', type: 'button', 'aria-label': trans.__('Next row (j)') },
    icon('next')
  );
  const input = h('input', {
    class: 'wb-input wb-rowno',
    inputmode: 'numeric',
    'aria-label': trans.__('Go to row'),
    size: 4
  });
  const count = h('span', { class: 'wb-num' });
  const node = h('span', { class: 'wb-rowpick' }, previous, input, count, next);
  on(previous, 'click', () => actions.step(-1), signal);
  on(next, 'click', () => actions.step(1), signal);
  const go = (): void => {
    if (input.value.trim() !== '') {
      actions.goToRow(Number(input.value.replace(/\D/g, '')));
    }
  };
  on(input, 'change', go, signal);
  /* Inside a notebook Enter does not make the browser report a change. */
  on(
    input,
    'keydown',
    event => {
      if (event.key === 'Enter') {
        event.preventDefault();
        event.stopPropagation();
        go();
      }
    },
    signal
  );
  return {
    node,
    update: (state: TokenBarState): void => {
      previous.disabled = state.position <= 0 || state.busy;
      next.disabled = state.position >= state.rowCount - 1 || state.busy;
      input.value = String(state.position);
      count.textContent = trans.__('of %1', formatNumber(state.rowCount));
      node.hidden = state.rowCount <= 1;
    }
  };
}

function colourPicker(actions: TokenBarActions, trans: Trans, signal: AbortSignal) {
  const buttons = COLOURS.map(by => {
    const button = h('button', { type: 'button' }, colourName(by, trans));
    on(button, 'click', () => actions.colour(by), signal);
    return { by, button };
  });
  const node = h(
    'span',
    { class: 'wb-grp' },
    h('span', { class: 'wb-label' }, trans.__('Colour by')),
    h(
      'span',
      { class: 'wb-seg', role: 'group', 'aria-label': trans.__('Colour by') },
      ...buttons.map(item => item.button)
    )
  );
  return {
    node,
    update: (state: TokenBarState): void =>
      buttons.forEach(({ by, button }) => button.setAttribute('aria-pressed', String(by === state.colour)))
  };
}

function finder(actions: TokenBarActions, trans: Trans, signal: AbortSignal) {
  const node = h('input', {
    class: 'wb-input wb-find',
    type: 'search',
    placeholder: trans.__('Text or token id'),
    'aria-label': trans.__('Find text or token id'),
    hidden: true
  });
  on(
    node,
    'keydown',
    event => {
      event.stopPropagation();
      if (event.key === 'Enter' && node.value !== '') {
        actions.find(node.value);
      } else if (event.key === 'Escape') {
        node.hidden = true;
        actions.leaveFind();
      }
    },
    signal
  );
  return {
    node,
    open: (): void => {
      node.hidden = false;
      node.focus();
      node.select();
    }
  };
}

export function tokenBar(actions: TokenBarActions, trans: Trans): TokenBar {
  const listeners = new AbortController();
  const { signal } = listeners;
  const rows = rowPicker(actions, trans, signal);
  const colours = colourPicker(actions, trans, signal);
  const spaces = h('button', { class: 'wb-switch', type: 'button', role: 'switch' }, h('i'), trans.__('Spaces'));
  const find = finder(actions, trans, signal);
  const count = h('span', { class: 'wb-num wb-pn' });
  const problem = h(
    'button',
    { class: 'wb-btn wb-nextp', type: 'button' },
    icon('warning'),
    h('span', {}, trans.__('Next problem')),
    count,
    h('span', { class: 'wb-kbd', 'aria-hidden': 'true' }, 'n')
  );
  on(spaces, 'click', () => actions.spaces(spaces.getAttribute('aria-checked') !== 'true'), signal);
  on(problem, 'click', () => actions.nextProblem(), signal);
  const node = h(
    'div',
    { class: 'wb-bar' },
    rows.node,
    colours.node,
    spaces,
    find.node,
    h('span', { class: 'wb-spring' }),
    problem
  );
  return {
    node,
    update: state => {
      rows.update(state);
      colours.update(state);
      spaces.setAttribute('aria-checked', String(state.spaces));
      problem.disabled = state.busy || state.clean;
      count.textContent =
        state.problem === null
          ? state.problems === 0
            ? ''
            : String(state.problems)
          : trans.__('%1 of %2', state.problem + 1, state.problems);
    },
    openFind: find.open,
    dispose: () => listeners.abort()
  };
}
