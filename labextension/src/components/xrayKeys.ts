/** Keys of the X-ray's panes, and the list of them that `?` shows. */
import { h } from './component';
import type { Trans } from './component';
import type { KeyActions } from './tokenKeys';

export interface XrayKeyActions {
  prompt(): void;
  edit(): void;
  help(): void;
  keep(): void;
  next(): void;
  leave(): void;
}

/** Keys of a pane whose things `move` goes through. */
export function movingKeys(actions: XrayKeyActions): (move: (by: number) => void) => KeyActions {
  return move => ({
    g: () => actions.prompt(),
    e: () => actions.edit(),
    '?': () => actions.help(),
    Enter: () => actions.keep(),
    ' ': () => actions.keep(),
    n: () => actions.next(),
    Escape: () => actions.leave(),
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    ArrowRight: () => move(1),
    ArrowLeft: () => move(-1),
    Home: () => move(-Infinity),
    End: () => move(Infinity)
  });
}

export function xrayKeyHelp(trans: Trans): HTMLElement {
  const rows: readonly (readonly [string, string])[] = [
    ['↑ ↓', trans.__('line, text or token')],
    ['Home End', trans.__('first, last')],
    ['Tab', trans.__('next pane')],
    ['Enter', trans.__('keep, and let go')],
    ['n', trans.__('next place of the kept line')],
    ['g', trans.__('generation prompt')],
    ['e', trans.__('edit the template')],
    ['?', trans.__('these keys')],
    ['Esc', trans.__('let go, then back to the cell')]
  ];
  return h(
    'dl',
    { class: 'wb-keys', 'aria-label': trans.__('Keys') },
    ...rows.map(([keys, what]) => h('div', {}, h('dt', {}, h('span', { class: 'wb-kbd' }, keys)), h('dd', {}, what)))
  );
}
