/** Keys of the token-mask viewer: what they do, and how they reach it inside JupyterLab. */
import { on } from './component';

/** By `KeyboardEvent.key`; told whether Shift is held. */
export type KeyActions = Readonly<Record<string, (shift: boolean) => void>>;

/**
 * Obey keys while the focus is inside `node`, never otherwise.
 *
 * Lab takes the keys of its command mode on their way down, at the document. While the focus is here, plain keys are
 * ours; keys with Ctrl, Alt or Cmd stay Lab's. What tells Lab so is on the focused element itself: the walk up from it
 * ends there, and the notebook's bindings end in `:focus`, which the element would match before any parent is looked at.
 */
export function obeyKeys(node: HTMLElement, actions: KeyActions, signal: AbortSignal): void {
  let focused: AbortController | null = null;
  const suppress = (event: KeyboardEvent): void => {
    const target = event.target instanceof Element && node.contains(event.target) ? event.target : node;
    target.toggleAttribute('data-lm-suppress-shortcuts', !(event.ctrlKey || event.metaKey || event.altKey));
  };
  on(
    node,
    'focusin',
    () => {
      focused?.abort();
      focused = new AbortController();
      window.addEventListener('keydown', suppress, { capture: true, signal: focused.signal });
    },
    signal
  );
  on(node, 'focusout', () => focused?.abort(), signal);
  signal.addEventListener('abort', () => focused?.abort(), { once: true });
  on(
    node,
    'keydown',
    event => {
      const action = event.ctrlKey || event.metaKey || event.altKey ? undefined : actions[event.key];
      if (action !== undefined) {
        event.preventDefault();
        event.stopPropagation();
        action(event.shiftKey);
      }
    },
    signal
  );
}

/** Give the focus back to what holds the output: the notebook cell, where there is one. */
export function leaveTo(node: HTMLElement): void {
  if (document.activeElement instanceof HTMLElement) {
    document.activeElement.blur();
  }
  node.parentElement?.closest<HTMLElement>('[tabindex]')?.focus();
}

/** Escape from any control of a card that has no use of its own for it leads to what holds the output; gives an undo. */
export function escapeLeaves(host: HTMLElement): () => void {
  const leave = (event: KeyboardEvent): void => {
    const card = host.firstElementChild;
    if (event.key === 'Escape' && !event.defaultPrevented && card instanceof HTMLElement) {
      event.preventDefault();
      event.stopPropagation();
      leaveTo(card);
    }
  };
  host.addEventListener('keydown', leave);
  return () => host.removeEventListener('keydown', leave);
}
