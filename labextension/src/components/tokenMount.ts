/** Which nodes of a grid are in the page: those of the items asked for; what is there already stays as it is. */
import type { Trans } from './component';
import type { RowModel } from './rowModel';
import { lineElement } from './tokenElement';
import { blockNode, documentNode, findingNode, keepOrder } from './tokenGridNodes';
import type { Items } from './tokenItems';
import type { Line } from './tokenLayout';

/** Key of a mounted child of the window: a block, a line, a finding or a document border. */
export type Key = string;

export interface Mounting {
  readonly model: RowModel;
  readonly lines: readonly Line[];
  readonly arranged: Items;
  readonly window: HTMLElement;
  readonly mounted: ReadonlyMap<Key, HTMLElement>;
  readonly trans: Trans;
}

function lineNode(grid: Mounting, index: number): HTMLElement {
  const line = grid.lines[index];
  if (line === undefined) {
    return document.createElement('div');
  }
  const node = lineElement(grid.model, line, grid.trans);
  node.dataset['line'] = String(index);
  return node;
}

/** Mount items `first` to `last`; gives what is mounted then. */
export function mount(grid: Mounting, first: number, last: number): Map<Key, HTMLElement> {
  const { model, mounted, trans } = grid;
  const wanted = new Map<Key, HTMLElement>();
  const flows = new Map<Key, HTMLElement[]>();
  for (const item of grid.arranged.items.slice(first, last + 1)) {
    if (item.kind === 'line') {
      const key = `b${item.block}`;
      wanted.set(key, wanted.get(key) ?? mounted.get(key) ?? blockNode(model, item.block, trans));
      const line = mounted.get(`l${item.line}`) ?? lineNode(grid, item.line);
      wanted.set(`l${item.line}`, line);
      flows.set(key, [...(flows.get(key) ?? []), line]);
    } else if (item.kind === 'finding') {
      const key = `f${item.finding}`;
      wanted.set(key, mounted.get(key) ?? findingNode(model, item.finding, trans));
    } else {
      const key = `d${item.document}`;
      wanted.set(key, mounted.get(key) ?? documentNode(model, item.document, trans));
    }
  }
  mounted.forEach((node, key) => {
    if (!wanted.has(key)) {
      node.remove();
    }
  });
  flows.forEach((lines, key) => fill(grid, wanted.get(key), lines));
  keepOrder(
    grid.window,
    [...wanted].filter(([key]) => !key.startsWith('l')).map(([, node]) => node)
  );
  return wanted;
}

function fill(grid: Mounting, turn: HTMLElement | undefined, lines: readonly HTMLElement[]): void {
  const flow = turn?.lastElementChild;
  if (flow instanceof HTMLElement) {
    keepOrder(flow, lines);
  }
  const first = grid.lines[Number(lines[0]?.dataset['line'])];
  turn?.classList.toggle(
    'wb-cont',
    first !== undefined && (first.skip > 0 || first.from !== grid.model.blocks[first.block]?.start)
  );
}
