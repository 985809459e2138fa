/** Keys of the card. They work only while something in it has the focus. */

import { on } from './component';

/** What a key does; keys with Ctrl, Alt or Cmd are never asked for. */
export type Keys = Readonly<Record<string, () => void>>;

/**
 * Listen for plain keys in `node`.
 *
 * A notebook takes keys of its command mode on the way down, at the document. While the focus is in the card, plain keys
 * are the card's (and its buttons'); those with Ctrl, Alt or Cmd stay the notebook's.
 */
export function listenForKeys(node: HTMLElement, keys: Keys, signal: AbortSignal): void {
  let focused: AbortController | null = null;
  const keep = (event: KeyboardEvent): void => {
    /* On the focused element itself: bindings of the notebook end in `:focus`, and the walk up from it begins there. */
    const target = event.target instanceof Element && node.contains(event.target) ? event.target : node;
    target.toggleAttribute('data-lm-suppress-shortcuts', !(event.ctrlKey || event.metaKey || event.altKey));
  };
  on(
    node,
    'focusin',
    () => {
      focused?.abort();
      focused = new AbortController();
      window.addEventListener('keydown', keep, { capture: true, signal: AbortSignal.any([focused.signal, signal]) });
    },
    signal
  );
  on(node, 'focusout', () => focused?.abort(), signal);
  on(
    node,
    'keydown',
    event => {
      const typing = event.target instanceof HTMLInputElement;
      const act = Object.hasOwn(keys, event.key) ? keys[event.key] : undefined;
      if (act === undefined || event.ctrlKey || event.metaKey || event.altKey || (typing && event.key !== 'Escape')) {
        return;
      }
      event.preventDefault();
      event.stopPropagation();
      act();
    },
    signal
  );
}

/** Give the focus back to the notebook cell around the card, or to nothing. */
export function leave(node: HTMLElement): void {
  const active = document.activeElement;
  if (active instanceof HTMLElement) {
    active.blur();
  }
  node.closest<HTMLElement>('.jp-Cell')?.focus();
}
