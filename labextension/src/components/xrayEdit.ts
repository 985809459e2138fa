/** The template as a text to edit, with line numbers, what each line makes, and the error at its line. */
import type { TemplateError } from '../wire';
import { h, icon, on } from './component';
import type { Trans } from './component';
import { obeyKeys } from './tokenKeys';
import type { XrayModel } from './xrayModel';

/** In CSS pixels, as in xray.css. */
const LINE_HEIGHT = 19;
const PADDING = 6;
/** How long nobody types before the kernel is asked. */
const PAUSE_MS = 120;

export interface EditProps {
  onChange(source: string): void;
  /** The caret stands on another line. */
  onLine(line: number): void;
  onLeave(): void;
}

export interface EditPane {
  readonly node: HTMLElement;
  readonly source: string;
  open(source: string): void;
  draw(model: XrayModel, error: TemplateError | null): void;
  focus(): void;
  dispose(): void;
}

export function editPane(props: EditProps, trans: Trans): EditPane {
  const listeners = new AbortController();
  const { signal } = listeners;
  const field = h('textarea', {
    class: 'wb-edit-t',
    spellcheck: 'false',
    autocomplete: 'off',
    autocapitalize: 'off',
    wrap: 'off',
    'aria-label': trans.__('Template, Jinja')
  });
  const numbers = h('pre', { class: 'wb-edit-n', 'aria-hidden': 'true' });
  const made = h('pre', { class: 'wb-edit-m', 'aria-hidden': 'true' });
  const bad = h('div', { class: 'wb-edit-bad', hidden: true });
  const said = h('div', { class: 'wb-edit-e', role: 'alert', hidden: true });
  const node = h(
    'div',
    { class: 'wb-edit', hidden: true },
    h('div', { class: 'wb-edit-b' }, bad, numbers, field, made),
    said
  );
  let timer: number | undefined;
  let line = 1;

  const lay = (): void => {
    const count = field.value.split('\n').length;
    numbers.textContent = Array.from({ length: count }, (_, index) => String(index + 1)).join('\n');
    field.style.height = `${count * LINE_HEIGHT + 2 * PADDING}px`;
  };
  const followCaret = (): void => {
    const now = field.value.slice(0, field.selectionStart).split('\n').length;
    if (now !== line) {
      line = now;
      props.onLine(line);
    }
  };
  on(
    field,
    'input',
    () => {
      lay();
      window.clearTimeout(timer);
      timer = window.setTimeout(() => props.onChange(field.value), PAUSE_MS);
    },
    signal
  );
  on(field, 'keyup', followCaret, signal);
  on(field, 'click', followCaret, signal);
  obeyKeys(field, { Escape: () => props.onLeave() }, signal);
  return {
    node,
    get source() {
      return field.value;
    },
    open: source => {
      field.value = source;
      node.hidden = false;
      lay();
    },
    draw: (model, error) => {
      const count = field.value.split('\n').length;
      const counts = Array.from({ length: count }, (_, index) => {
        const { tokens, characters } = model.made(index + 1);
        return String(tokens > 0 ? tokens : characters > 0 ? characters : '');
      });
      made.textContent = error === null ? counts.join('\n') : '';
      const at = error?.line ?? null;
      bad.hidden = at === null;
      bad.style.top = `${PADDING + ((at ?? 1) - 1) * LINE_HEIGHT}px`;
      said.hidden = error === null;
      field.setAttribute('aria-invalid', String(error !== null));
      if (error !== null) {
        const where = at === null ? '' : trans.__('Line %1. ', at);
        const words = h('span', {}, h('b', {}, where), error.message, ' ', error.remedy);
        said.replaceChildren(icon('cross'), words);
      }
    },
    focus: () => field.focus(),
    dispose: () => {
      window.clearTimeout(timer);
      listeners.abort();
    }
  };
}
