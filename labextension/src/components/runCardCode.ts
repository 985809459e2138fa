/** The last row of the card: the Python that makes `run`, and what was just clicked. */

import { codeLine } from './codeLine';
import type { Trans } from './component';

export interface CodeRow {
  readonly node: HTMLElement;
  /** Show the line that does what was just done. */
  show(line: string): void;
  /** Show a line and insert it, after the one that makes `run`, into the notebook. */
  insert(line: string): void;
  dispose(): void;
}

/** `first` is the payload's code, which makes `run`. */
export function codeRow(first: string, trans: Trans): CodeRow {
  const code = codeLine({ code: first }, trans);
  const show = (line: string): void => code.update(`${first}\n${line}`);
  return {
    node: code.node,
    show,
    insert: line => {
      show(line);
      code.node.querySelector('button')?.click();
    },
    dispose: () => code.dispose()
  };
}
