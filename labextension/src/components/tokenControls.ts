/** Small controls of the token viewer: selectors with a label, toggles, a menu. */
import { h, on } from './component';

export interface Choice {
  readonly value: string;
  readonly words: string;
}

export interface Selector {
  readonly node: HTMLElement;
  readonly select: HTMLSelectElement;
  update(choices: readonly Choice[], value: string): void;
}

/** A labelled select; options are made anew only where they differ, so that an open list stays open. */
export function selector(label: string, choose: (value: string) => void, signal: AbortSignal): Selector {
  const select = h('select', { class: 'wb-select', 'aria-label': label });
  const node = h('label', { class: 'wb-grp' }, h('span', { class: 'wb-label' }, label), select);
  let shown = '';
  on(select, 'change', () => choose(select.value), signal);
  return {
    node,
    select,
    update: (choices, value) => {
      const key = choices.map(choice => `${choice.value}\t${choice.words}`).join('\n');
      if (key !== shown) {
        shown = key;
        select.replaceChildren(...choices.map(choice => h('option', { value: choice.value }, choice.words)));
      }
      select.value = value;
    }
  };
}

/** A button that is on or off. */
export function toggle(words: string, key: string, act: () => void, signal: AbortSignal): HTMLButtonElement {
  const node = h(
    'button',
    { class: 'wb-btn wb-toggle', type: 'button', 'aria-pressed': 'false' },
    words,
    h('span', { class: 'wb-kbd', 'aria-hidden': 'true' }, key)
  );
  on(node, 'click', act, signal);
  return node;
}

/** A button with a menu below it: arrows move, Enter chooses, Escape closes. */
export function menuButton(
  words: string,
  items: readonly Choice[],
  choose: (value: string) => void,
  signal: AbortSignal
): HTMLElement {
  const button = h(
    'button',
    { class: 'wb-btn wb-menubtn', type: 'button', 'aria-haspopup': 'menu', 'aria-expanded': 'false' },
    words
  );
  const entries = items.map(item =>
    h('button', { class: 'wb-item', type: 'button', role: 'menuitem', tabindex: -1 }, item.words)
  );
  const menu = h('div', { class: 'wb-menu', role: 'menu', 'aria-label': words, hidden: true }, ...entries);
  const node = h('span', { class: 'wb-menubox' }, button, menu);
  const open = (shown: boolean): void => {
    menu.hidden = !shown;
    button.setAttribute('aria-expanded', String(shown));
    (shown ? entries[0] : button)?.focus();
  };
  on(button, 'click', () => open(menu.hidden), signal);
  entries.forEach((entry, index) =>
    on(
      entry,
      'click',
      () => {
        open(false);
        choose(items[index]?.value ?? '');
      },
      signal
    )
  );
  on(menu, 'keydown', event => moveIn(event, entries, () => open(false)), signal);
  on(
    node,
    'focusout',
    event => {
      if (!menu.hidden && !(event.relatedTarget instanceof Node && node.contains(event.relatedTarget))) {
        menu.hidden = true;
        button.setAttribute('aria-expanded', 'false');
      }
    },
    signal
  );
  return node;
}

function moveIn(event: KeyboardEvent, entries: readonly HTMLElement[], close: () => void): void {
  const at = entries.findIndex(entry => entry === document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: entries.length - 1 }[event.key];
  if (to !== undefined) {
    entries[(to + entries.length) % entries.length]?.focus();
  } else if (event.key === 'Escape') {
    close();
  } else {
    return;
  }
  event.preventDefault();
  event.stopPropagation();
}
