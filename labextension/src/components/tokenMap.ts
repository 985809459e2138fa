/** The whole row in one strip: tall is trained, low is masked, a flag is a problem, the frame is what is on screen. */
import { h, on, svg } from './component';
import type { Component, Trans } from './component';
import type { RowModel } from './rowModel';

const HEIGHT = 30;
const TOP = 10;
const FOOT = 25;
const MOST_FLAGS = 200;

export interface TokenMap extends Component<RowModel> {
  /** Frame the tokens `from` to `to` (exclusive). */
  frame(from: number, to: number): void;
}

interface Run {
  readonly trained: boolean;
  readonly from: number;
  readonly to: number;
}

/** Runs of equal label, at most one change a pixel: a column is trained when at least half its tokens are. */
function runsOf(model: RowModel, columns: number): readonly Run[] {
  const { trained } = model.row.tokens;
  const count = Math.max(1, Math.min(columns, model.length));
  const runs: Run[] = [];
  for (let column = 0; column < count; column += 1) {
    const from = Math.floor((column * model.length) / count);
    const to = Math.floor(((column + 1) * model.length) / count);
    let sum = 0;
    for (let token = from; token < to; token += 1) {
      sum += trained[token] === 1 ? 1 : 0;
    }
    const isTrained = sum * 2 >= to - from && sum > 0;
    const last = runs[runs.length - 1];
    if (last !== undefined && last.trained === isTrained) {
      runs[runs.length - 1] = { ...last, to };
    } else {
      runs.push({ trained: isTrained, from, to });
    }
  }
  return runs;
}

function barPath(runs: readonly Run[], top: number, bottom: number, scale: number): string {
  return runs
    .map(run => {
      const x = run.from * scale;
      const width = Math.max(0.6, (run.to - run.from) * scale - 0.6);
      return `M${x.toFixed(1)} ${top}h${width.toFixed(1)}V${bottom}h${(-width).toFixed(1)}z`;
    })
    .join('');
}

export function tokenMap(props: { readonly model: RowModel; onJump(token: number): void }, trans: Trans): TokenMap {
  const listeners = new AbortController();
  let model = props.model;
  let width = 0;
  const masked = svg('path', { class: 'wb-m-m' });
  const trained = svg('path', { class: 'wb-m-t' });
  const documents = svg('path', { class: 'wb-m-d' });
  const flags = svg('path', { class: 'wb-m-f' });
  const view = svg('rect', { class: 'wb-m-v', y: 8.5, height: 19 });
  const drawing = svg(
    'svg',
    { class: 'wb-map', height: HEIGHT, width: '100%', role: 'img' },
    masked,
    trained,
    documents,
    view,
    flags
  );
  const node = h('div', { class: 'wb-mapbox' }, drawing);

  const scale = (): number => (model.length === 0 ? 0 : width / model.length);
  const draw = (): void => {
    if (width === 0) {
      return;
    }
    const runs = runsOf(model, Math.floor(width));
    trained.setAttribute(
      'd',
      barPath(
        runs.filter(run => run.trained),
        TOP,
        FOOT,
        scale()
      )
    );
    masked.setAttribute(
      'd',
      barPath(
        runs.filter(run => !run.trained),
        FOOT - 4,
        FOOT,
        scale()
      )
    );
    documents.setAttribute('d', model.row.documents.map(item => `M${(item.start * scale()).toFixed(1)} 8V28`).join(''));
    const at = (token: number): number => Math.min(width - 4.5, Math.max(4.5, (token + 0.5) * scale()));
    flags.setAttribute(
      'd',
      model.problems
        .slice(0, MOST_FLAGS)
        .map(token => `M${(at(token) - 4.5).toFixed(1)} 1h9l-4.5 7z`)
        .join('')
    );
    drawing.setAttribute(
      'aria-label',
      trans.__(
        'Map of the row: %1 tokens, %2 trained, %3 problems',
        model.length,
        model.trained,
        model.row.findings.length
      )
    );
  };
  const observer = new ResizeObserver(entries => {
    width = entries[0]?.contentRect.width ?? 0;
    drawing.setAttribute('viewBox', `0 0 ${Math.max(1, width)} ${HEIGHT}`);
    draw();
  });
  observer.observe(node);
  on(
    node,
    'click',
    event => {
      const box = drawing.getBoundingClientRect();
      if (box.width > 0 && model.length > 0) {
        const share = (event.clientX - box.left) / box.width;
        props.onJump(Math.max(0, Math.min(model.length - 1, Math.floor(share * model.length))));
      }
    },
    listeners.signal
  );
  return {
    node,
    frame: (from, to) => {
      view.setAttribute('x', Math.max(0.5, from * scale()).toFixed(1));
      view.setAttribute('width', Math.max(3, Math.min(width - 1, (to - from) * scale() - 1)).toFixed(1));
    },
    update: value => {
      model = value;
      draw();
    },
    dispose: () => {
      observer.disconnect();
      listeners.abort();
    }
  };
}
