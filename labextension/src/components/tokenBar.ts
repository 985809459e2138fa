/** The controls of the token-mask viewer: row, colours, spaces, search, next problem; policy, table, copies. */
import type { Row } from '../wire';
import { formatNumber, h, icon, on } from './component';
import type { Trans } from './component';
import { KINDS, kindName } from './problemKinds';
import type { ProblemKind } from './problemKinds';
import { colourName, isColour, isThere, offered } from './tokenColours';
import type { ColourBy } from './tokenColours';
import { menuButton, selector, toggle } from './tokenControls';
import { tokenFind } from './tokenFind';
import type { FindState } from './tokenFind';
import { policyBar } from './tokenPolicy';
import type { CopyFormat, Policy } from './tokenRows';

export interface TokenBarActions {
  step(by: 1 | -1): void;
  goToRow(position: number): void;
  colour(by: ColourBy): void;
  spaces(on: boolean): void;
  find(text: string, back: boolean): void;
  /** The search field is done with: back to the tokens. */
  leaveFind(): void;
  nextProblem(): void;
  kind(kind: ProblemKind | null): void;
  list(): void;
  table(): void;
  copy(format: CopyFormat): void;
  policy(policy: Policy | null): void;
}

export interface TokenBarState {
  readonly position: number;
  readonly rowCount: number;
  readonly row: Row;
  readonly colour: ColourBy;
  readonly spaces: boolean;
  readonly problems: number;
  /** Index of the problem at the current token, or null. */
  readonly problem: number | null;
  /** Rows with a problem of each kind. */
  readonly kinds: Readonly<Partial<Record<ProblemKind, number>>>;
  readonly kind: ProblemKind | null;
  readonly busy: boolean;
  /** Rows of a batch: few, and nothing that the kernel lists or copies. */
  readonly isBatch: boolean;
  /** Whether no row is known or likely to have a finding. */
  readonly clean: boolean;
  readonly isListed: boolean;
  readonly isTable: boolean;
  readonly policy: Policy | null;
  readonly isTrying: boolean;
}

export interface TokenBar {
  readonly node: HTMLElement;
  update(state: TokenBarState): void;
  openFind(): void;
  found(state: FindState | null): void;
  /** Say what a policy changed, beside its selectors. */
  changed(words: string): void;
  dispose(): void;
}

function rowPicker(actions: TokenBarActions, trans: Trans, signal: AbortSignal) {
  const arrow = (name: 'previous' | 'next', label: string, by: 1 | -1): HTMLButtonElement => {
    const button = h('button', { class: 'wb-btn wb-icon wb-quiet', type: 'button', 'aria-label': label }, icon(name));
    on(button, 'click', () => actions.step(by), signal);
    return button;
  };
  const previous = arrow('previous', trans.__('Previous row (k)'), -1);
  const next = arrow('next', trans.__('Next row (j)'), 1);
  const input = h('input', {
    class: 'wb-input wb-rowno',
    inputmode: 'numeric',
    'aria-label': trans.__('Go to row'),
    size: 4
  });
  const count = h('span', { class: 'wb-num' });
  const list = toggle(trans.__('Rows'), 'l', actions.list, signal);
  const node = h('span', { class: 'wb-rowpick' }, previous, input, count, next, list);
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
      list.setAttribute('aria-pressed', String(state.isListed));
      list.hidden = state.isBatch;
      node.hidden = state.rowCount <= 1;
    }
  };
}

function colourPicker(actions: TokenBarActions, trans: Trans, signal: AbortSignal) {
  const picker = selector(trans.__('Colour by'), value => isColour(value) && actions.colour(value), signal);
  picker.select.classList.add('wb-colourby');
  return {
    node: picker.node,
    update: (state: TokenBarState): void =>
      picker.update(
        offered(state.row).map(by => ({
          value: by,
          words: isThere(state.row, by)
            ? colourName(by, trans)
            : by === 'document'
              ? trans.__('%1 (packed batches)', colourName(by, trans))
              : trans.__('%1 (needs scores)', colourName(by, trans))
        })),
        state.colour
      )
  };
}

function problemPicker(actions: TokenBarActions, trans: Trans, signal: AbortSignal) {
  const kinds = selector(
    trans.__('Problems'),
    value => actions.kind(KINDS.find(kind => kind === value) ?? null),
    signal
  );
  kinds.select.classList.add('wb-kinds');
  const count = h('span', { class: 'wb-num wb-pn' });
  const next = h(
    'button',
    { class: 'wb-btn wb-nextp', type: 'button' },
    icon('warning'),
    h('span', {}, trans.__('Next problem')),
    count,
    h('span', { class: 'wb-kbd', 'aria-hidden': 'true' }, 'n')
  );
  on(next, 'click', () => actions.nextProblem(), signal);
  kinds.node.firstElementChild?.classList.add('wb-vh');
  return {
    kinds: kinds.node,
    node: next,
    update: (state: TokenBarState): void => {
      const shown = KINDS.filter(kind => (state.kinds[kind] ?? 0) > 0 || kind === state.kind);
      kinds.node.hidden = shown.length === 0;
      kinds.update(
        [
          { value: '', words: trans.__('All problems') },
          ...shown.map(kind => ({
            value: kind,
            words: `${kindName(kind, trans)} (${trans._n('%2 row', '%2 rows', state.kinds[kind] ?? 0, formatNumber(state.kinds[kind] ?? 0))})`
          }))
        ],
        state.kind ?? ''
      );
      next.disabled = state.busy || state.clean;
      count.textContent =
        state.problem === null
          ? state.problems === 0
            ? ''
            : String(state.problems)
          : trans.__('%1 of %2', state.problem + 1, state.problems);
    }
  };
}

export function tokenBar(actions: TokenBarActions, trans: Trans): TokenBar {
  const listeners = new AbortController();
  const { signal } = listeners;
  const find = tokenFind({ find: actions.find, leave: actions.leaveFind }, trans, signal);
  const policy = policyBar(actions.policy, trans, signal);
  const parts = [rowPicker(actions, trans, signal), colourPicker(actions, trans, signal)] as const;
  const problems = problemPicker(actions, trans, signal);
  const spaces = h('button', { class: 'wb-switch', type: 'button', role: 'switch' }, h('i'), trans.__('Spaces'));
  on(spaces, 'click', () => actions.spaces(spaces.getAttribute('aria-checked') !== 'true'), signal);
  const table = toggle(trans.__('Table'), 't', actions.table, signal);
  const formats: Readonly<Record<CopyFormat, string>> = {
    text: trans.__('Text'),
    marked: trans.__('Text, trained parts in ⟦…⟧'),
    html: trans.__('HTML'),
    axolotl: trans.__("axolotl's debug format")
  };
  const copies = (Object.keys(formats) as CopyFormat[]).map(value => ({ value, words: formats[value] }));
  const copy = menuButton(trans.__('Copy as'), copies, value => actions.copy(value as CopyFormat), signal);
  const node = h(
    'div',
    { class: 'wb-bars' },
    h(
      'div',
      { class: 'wb-bar' },
      ...parts.map(part => part.node),
      spaces,
      find.node,
      h('span', { class: 'wb-spring' }),
      problems.node
    ),
    h('div', { class: 'wb-bar wb-bar2' }, policy.node, h('span', { class: 'wb-spring' }), problems.kinds, table, copy)
  );
  return {
    node,
    update: state => {
      parts.forEach(part => part.update(state));
      problems.update(state);
      policy.update(state);
      spaces.setAttribute('aria-checked', String(state.spaces));
      table.setAttribute('aria-pressed', String(state.isTable));
      copy.hidden = state.isBatch;
    },
    openFind: find.open,
    found: find.update,
    changed: policy.changed,
    dispose: () => listeners.abort()
  };
}
