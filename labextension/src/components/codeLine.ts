/** The line of Python that does the same; what just changed in it is underlined. */
import { h, icon, on } from './component';
import type { Component, Trans } from './component';

const TOKEN = /("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|\b(\d[\d_.]*(?:e[+-]?\d+)?|True|False|None)\b|(\s+|\w+|.)/g;

interface Piece {
  readonly text: string;
  readonly class: string;
}

function pieces(code: string): readonly Piece[] {
  return [...code.matchAll(TOKEN)].map(match => ({
    text: match[0],
    class: match[1] !== undefined ? 'wb-str' : match[2] !== undefined ? 'wb-lit' : ''
  }));
}

/** Indices of `after` that are not in a longest common subsequence with `before`. */
export function changedPieces(before: readonly string[], after: readonly string[]): ReadonlySet<number> {
  const width = after.length + 1;
  const table = new Uint16Array((before.length + 1) * width);
  const at = (i: number, j: number): number => table[i * width + j] ?? 0;
  for (let i = before.length - 1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      table[i * width + j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const changed = new Set<number>();
  let i = 0;
  let j = 0;
  while (j < after.length) {
    if (i < before.length && before[i] === after[j]) {
      i += 1;
      j += 1;
    } else if (i < before.length && at(i + 1, j) >= at(i, j + 1)) {
      i += 1;
    } else {
      changed.add(j);
      j += 1;
    }
  }
  return changed;
}

/** Hand the code to the notebook; where nobody takes it, put it on the clipboard and say so. */
export async function insertCode(from: HTMLElement, code: string, trans: Trans): Promise<string> {
  const event = new CustomEvent('wb-insert-code', {
    bubbles: true,
    composed: true,
    cancelable: true,
    detail: { code }
  });
  if (!from.dispatchEvent(event)) {
    return trans.__('Inserted below');
  }
  try {
    await navigator.clipboard.writeText(code);
    return trans.__('Copied to the clipboard');
  } catch {
    return trans.__('Select the line to copy it');
  }
}

export function codeLine(props: { readonly code: string }, trans: Trans): Component<string> {
  const listeners = new AbortController();
  let code = props.code;
  const pre = h('pre', { 'aria-label': trans.__('The same in Python'), tabindex: 0 });
  const said = h('span', { class: 'wb-sub', role: 'status' });
  const insert = h('button', { class: 'wb-btn wb-quiet', type: 'button' }, trans.__('Insert as cell'));
  const node = h(
    'div',
    { class: 'wb-code' },
    h('span', { class: 'wb-label', 'aria-hidden': 'true' }, icon('code')),
    pre,
    said,
    insert
  );
  on(
    insert,
    'click',
    () => {
      void insertCode(node, code, trans).then(text => {
        said.textContent = text;
      });
    },
    listeners.signal
  );
  const draw = (changed: ReadonlySet<number>): void => {
    pre.replaceChildren(
      ...pieces(code).map((piece, index) => {
        const names = [piece.class, changed.has(index) && piece.text.trim() !== '' ? 'wb-changed' : '']
          .join(' ')
          .trim();
        return names === '' ? document.createTextNode(piece.text) : h('span', { class: names }, piece.text);
      })
    );
    pre.normalize();
  };
  draw(new Set());
  return {
    node,
    update: value => {
      if (value === code) {
        return;
      }
      const texts = (text: string): string[] => pieces(text).map(piece => piece.text);
      const changed = changedPieces(texts(code), texts(value));
      code = value;
      said.textContent = '';
      draw(changed);
    },
    dispose: () => listeners.abort()
  };
}
