/**
 * Opens the card of an exported HTML file (workbench/views/page.py): its module has put itself on `globalThis`, its traits
 * stand in the page. There is no kernel, and every question is told so.
 */
import type { WidgetModel, WidgetModule } from './widgets/afm';

declare global {
  var finetuneWorkbenchCard: WidgetModule | undefined;
}

type Listener = (...args: unknown[]) => void;

const REFUSAL = 'This page has no kernel: it shows what was saved in it.';

/** Answers every question at once, with a refusal. */
function savedModel(traits: Readonly<Record<string, unknown>>): WidgetModel {
  const listeners = new Map<string, Set<Listener>>();
  return {
    get: name => (Object.hasOwn(traits, name) ? traits[name] : null),
    on: (name, listener) => {
      const there = listeners.get(name) ?? new Set();
      listeners.set(name, there.add(listener));
    },
    off: (name, listener) => {
      listeners.get(name)?.delete(listener);
    },
    send: content => {
      const id = typeof content === 'object' && content !== null && 'id' in content ? content.id : 0;
      queueMicrotask(() => listeners.get('msg:custom')?.forEach(tell => tell({ id, error: REFUSAL })));
    }
  };
}

function followScheme(root: HTMLElement): void {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const read = (): void => void root.classList.toggle('wb-dark', dark.matches);
  dark.addEventListener('change', read);
  read();
}

function open(): void {
  const root = document.documentElement;
  const el = document.getElementById('wb-card');
  const traits: unknown = JSON.parse(document.getElementById('wb-traits')?.textContent ?? '{}');
  followScheme(root);
  if (el !== null && typeof traits === 'object' && traits !== null) {
    globalThis.finetuneWorkbenchCard?.render({ model: savedModel({ ...traits }), el });
    root.classList.add('wb-opened');
  }
}

open();
