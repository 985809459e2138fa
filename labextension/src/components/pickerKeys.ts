/** Keys in the picker: they reach its controls inside JupyterLab, and a selector takes them with care. */
import { on } from './component';
import { leaveTo } from './tokenKeys';

const APPLY = new Set(['Enter', 'Tab']);

/**
 * Keep plain keys from the notebook while a control of `node` has the focus; Enter applies what was typed, Escape gives the
 * focus back to the cell.
 *
 * Lab looks for its shortcuts from the focused element upwards, and its command mode asks for nothing but the focus: the
 * mark that keeps a key must be on that very element, before the event reaches the document.
 */
export function keepKeys(node: HTMLElement, signal: AbortSignal): void {
  const keep = (event: KeyboardEvent): void => {
    if (event.target instanceof HTMLElement && node.contains(event.target)) {
      const isPlain = !(event.ctrlKey || event.metaKey || event.altKey);
      event.target.toggleAttribute('data-lm-suppress-shortcuts', isPlain);
    }
  };
  window.addEventListener('keydown', keep, { capture: true, signal });
  on(
    node,
    'keydown',
    event => {
      if (event.key === 'Escape') {
        event.preventDefault();
        event.stopPropagation();
        leaveTo(node);
      } else if (event.key === 'Enter' && event.target instanceof HTMLInputElement) {
        // A notebook around the card takes Enter's own effect away; without it no change would be told.
        event.preventDefault();
        event.target.dispatchEvent(new Event('change', { bubbles: true }));
      }
    },
    signal
  );
}

/**
 * A closed selector changes at every arrow and every letter. Here a change has effects (a role is taken from another
 * column), so what keys lead to waits until Enter, or until the focus leaves; Escape takes it back.
 *
 * `waits` is told when a selector has a choice that is not applied yet.
 */
export function applyOnEnter(node: HTMLElement, waits: (select: HTMLSelectElement) => void, signal: AbortSignal): void {
  let typed: HTMLSelectElement | null = null;
  let waiting: { readonly select: HTMLSelectElement; readonly before: string } | null = null;
  let before = '';

  const done = (): HTMLSelectElement | null => {
    const select = waiting?.select ?? null;
    select?.classList.remove('wb-waiting');
    waiting = null;
    typed = null;
    return select;
  };
  const apply = (): void => {
    done()?.dispatchEvent(new Event('change', { bubbles: true }));
  };
  const listen = <K extends keyof HTMLElementEventMap>(type: K, act: (event: HTMLElementEventMap[K]) => void): void =>
    node.addEventListener(type, act, { capture: true, signal });

  listen('keydown', event => {
    if (!(event.target instanceof HTMLSelectElement)) {
      return;
    }
    if (waiting !== null && (APPLY.has(event.key) || event.key === 'Escape')) {
      if (event.key === 'Escape') {
        waiting.select.value = waiting.before;
        done();
        event.stopPropagation();
      } else {
        apply();
      }
    } else if (!APPLY.has(event.key)) {
      typed = event.target;
      before = waiting?.before ?? event.target.value;
    }
  });
  listen('pointerdown', () => {
    typed = null;
  });
  listen('change', event => {
    const select = event.target;
    if (select instanceof HTMLSelectElement && select === typed) {
      event.stopImmediatePropagation();
      waiting = { select, before };
      select.classList.add('wb-waiting');
      waits(select);
    }
  });
  listen('focusout', () => waiting !== null && apply());
}
