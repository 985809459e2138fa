/** Loss by step: smoothed and raw, a track of samples and checkpoints below, and a table of the same numbers. */

import { h, on } from './component';
import type { Trans } from './component';
import { layout, pointsOf, readColours, TRACES, traces } from './lossChartFigure';
import type { ChartColours, Points, TraceName } from './lossChartFigure';
import { formatLoss, setAttribute, setText } from './runCardParts';
import type { RunModel } from '../runs/state';

type Plotly = (typeof import('plotly.js-basic-dist-min'))['default'];

const HEIGHT = 176;
/** Rows of the table; a longer run shows every n-th. */
const MOST_ROWS = 200;

export interface LossChart {
  readonly node: HTMLElement;
  update(model: RunModel): void;
  /** Nothing is drawn while the chart cannot be seen. */
  setVisible(visible: boolean): void;
  dispose(): void;
}

/** Make the chart. Plotly is loaded the first time that a chart is seen. */
export function lossChart(trans: Trans, loadPlotly: () => Promise<Plotly> = importPlotly): LossChart {
  const abort = new AbortController();
  const plot = h('div', { class: 'wb-plot', role: 'img', 'aria-label': trans.__('Training loss') });
  const empty = h('p', { class: 'wb-sub wb-plot-empty' }, trans.__('The first logged step will appear here.'));
  const table = lossTable(trans);
  const marks = legend(trans);
  const drawing = new Drawing(plot, trans, loadPlotly);
  let model: RunModel | null = null;
  let visible = false;

  const scale = scaleSwitch(trans, log => drawing.setLog(log), abort.signal);
  const tableButton = h('button', { class: 'wb-link', type: 'button', 'aria-expanded': 'false' }, trans.__('Table'));
  on(
    tableButton,
    'click',
    () => {
      const open = table.node.hidden;
      table.node.hidden = !open;
      tableButton.setAttribute('aria-expanded', String(open));
      draw();
    },
    abort.signal
  );

  const draw = (): void => {
    if (!visible || model === null) {
      return;
    }
    const some = model.series.step.length > 0;
    marks.update(model);
    empty.hidden = some;
    plot.hidden = !some;
    if (some) {
      setAttribute(plot, 'aria-label', sentence(model, trans));
      drawing.draw(model);
    }
    table.update(model);
  };

  const node = h(
    'div',
    { class: 'wb-cbox wb-sec' },
    h(
      'div',
      { class: 'wb-chead' },
      h('h4', { class: 'wb-h' }, trans.__('Loss')),
      ...marks.nodes,
      h('span', { class: 'wb-spring' }),
      h('span', { class: 'wb-cswitch' }, scale, tableButton)
    ),
    empty,
    plot,
    table.node
  );
  return {
    node,
    update: next => {
      model = next;
      draw();
    },
    setVisible: next => {
      visible = next;
      draw();
    },
    dispose: () => {
      abort.abort();
      drawing.dispose();
    }
  };
}

async function importPlotly(): Promise<Plotly> {
  return (await import('plotly.js-basic-dist-min')).default;
}

function sentence(model: RunModel, trans: Trans): string {
  const steps = model.series.step[model.series.step.length - 1] ?? 0;
  return trans.__('Training loss to step %1, now %2', steps, formatLoss(model.loss));
}

/** One word for each mark; those of points that do not exist yet are absent. */
function legend(trans: Trans): { nodes: HTMLElement[]; update(model: RunModel): void } {
  const entry = (mark: string, word: string): HTMLElement =>
    h('span', { class: 'wb-leg' }, h('i', { class: `wb-lg wb-lg-${mark}`, 'aria-hidden': 'true' }), word);
  const evaluation = entry('d', trans.__('eval'));
  const samples = entry('s', trans.__('samples'));
  const checkpoint = entry('c', trans.__('checkpoint'));
  return {
    nodes: [entry('e', trans.__('smoothed')), entry('r', trans.__('each step')), evaluation, samples, checkpoint],
    update: model => {
      evaluation.hidden = model.evals.step.length === 0;
      samples.hidden = model.samples.length === 0;
      checkpoint.hidden = model.checkpoints.length === 0;
    }
  };
}

function scaleSwitch(trans: Trans, choose: (log: boolean) => void, signal: AbortSignal): HTMLElement {
  const linear = h('button', { type: 'button', 'aria-pressed': 'true' }, trans.__('Linear'));
  const log = h('button', { type: 'button', 'aria-pressed': 'false' }, trans.__('Log'));
  const press = (isLog: boolean) => (): void => {
    linear.setAttribute('aria-pressed', String(!isLog));
    log.setAttribute('aria-pressed', String(isLog));
    choose(isLog);
  };
  on(linear, 'click', press(false), signal);
  on(log, 'click', press(true), signal);
  return h('span', { class: 'wb-seg', role: 'group', 'aria-label': trans.__('Scale') }, linear, log);
}

/** Keeps a Plotly figure in step with the model: appends where it can, redraws where points were replaced. */
class Drawing {
  constructor(
    private readonly plot: HTMLElement,
    private readonly trans: Trans,
    private readonly loadPlotly: () => Promise<Plotly>
  ) {
    this.plot.append(this.probe);
    this.resize = new ResizeObserver(() => this.fit());
    this.resize.observe(plot);
    this.themes = new MutationObserver(() => window.requestAnimationFrame(() => this.recolour()));
    const attributeFilter = ['class', 'data-jp-theme-name', 'data-jp-theme-light'];
    for (const root of [document.documentElement, document.body]) {
      this.themes.observe(root, { attributes: true, attributeFilter });
    }
  }

  draw(model: RunModel): void {
    this.model = model;
    if (this.pending || this.broken) {
      return;
    }
    // One change at a time: Plotly's calls are promises, and the newest model is what counts.
    this.pending = true;
    this.run()
      .catch(() => {
        this.broken = true;
        this.plot.replaceChildren(this.trans.__('The chart could not be loaded; the table has the numbers.'));
      })
      .finally(() => {
        this.pending = false;
        if (this.model !== null && this.model !== this.shownModel && !this.disposed) {
          this.draw(this.model);
        }
      });
  }

  setLog(log: boolean): void {
    this.log = log;
    void this.plotly?.relayout(this.plot, { 'yaxis.type': log ? 'log' : 'linear' });
  }

  dispose(): void {
    this.disposed = true;
    this.resize.disconnect();
    this.themes.disconnect();
    this.plotly?.purge(this.plot);
  }

  private async run(): Promise<void> {
    const plotly = (this.plotly ??= await this.loadPlotly());
    const model = this.model;
    if (this.disposed || model === null) {
      return;
    }
    this.shownModel = model;
    const points = pointsOf(model);
    this.recolour();
    if (this.shown === null) {
      await this.create(plotly, points);
    } else if (this.epoch !== model.series.epoch) {
      await this.replace(plotly, points);
    } else {
      await this.append(plotly, points);
    }
    this.shown = points;
    this.epoch = model.series.epoch;
  }

  private async create(plotly: Plotly, points: Readonly<Record<TraceName, Points>>): Promise<void> {
    const colours = (this.colours ??= readColours(this.probe));
    const font = getComputedStyle(this.plot).fontFamily;
    const config = { displayModeBar: false, responsive: false, scrollZoom: false, doubleClick: false };
    const figure = layout(colours, this.size(), this.log, font, this.trans);
    await plotly.newPlot(this.plot, traces(points, colours, this.trans), figure, config);
  }

  private async replace(plotly: Plotly, points: Readonly<Record<TraceName, Points>>): Promise<void> {
    const all = TRACES.map(name => points[name]);
    await plotly.update(this.plot, { x: all.map(one => [...one.x]), y: all.map(one => [...one.y]) }, {});
  }

  private async append(plotly: Plotly, points: Readonly<Record<TraceName, Points>>): Promise<void> {
    const shown = this.shown;
    if (shown === null) {
      return;
    }
    const grown = TRACES.filter(name => name !== 'now' && points[name].x.length !== shown[name].x.length);
    if (grown.some(name => !isPrefix(shown[name].x, points[name].x))) {
      await this.replace(plotly, points);
      return;
    }
    const added = grown.map(name => ({
      index: TRACES.indexOf(name),
      ...tail(points[name], shown[name].x.length),
      most: -1
    }));
    const now = { index: TRACES.indexOf('now'), x: points.now.x, y: points.now.y, most: 1 };
    const moved = points.now.x[0] !== shown.now.x[0] || points.now.y[0] !== shown.now.y[0];
    const all = moved && points.now.x.length > 0 ? [...added, now] : added;
    if (all.length > 0) {
      const most = all.map(one => one.most);
      await plotly.extendTraces(
        this.plot,
        { x: all.map(one => [...one.x]), y: all.map(one => [...one.y]) },
        all.map(one => one.index),
        { x: most, y: most }
      );
    }
  }

  /** Read the theme again; restyle only when it is another one. */
  private recolour(): void {
    const { color, backgroundColor, borderTopColor } = getComputedStyle(this.probe);
    const key = [color, backgroundColor, borderTopColor].join();
    if (this.disposed || key === this.theme) {
      return;
    }
    this.theme = key;
    this.colours = readColours(this.probe);
    if (this.plotly !== null && this.shown !== null && this.model !== null) {
      const styled = traces(this.shown, this.colours, this.trans);
      const font = getComputedStyle(this.plot).fontFamily;
      const restyle = Object.fromEntries(
        ['line', 'marker', 'textfont'].map(key => [key, styled.map(trace => trace[key])])
      );
      const figure = layout(this.colours, this.size(), this.log, font, this.trans);
      void this.plotly.update(this.plot, restyle, figure);
    }
  }

  private fit(): void {
    const { width } = this.size();
    if (this.plotly !== null && this.shown !== null && width > 0) {
      void this.plotly.relayout(this.plot, { width });
    }
  }

  private size(): { width: number; height: number } {
    return { width: Math.max(200, this.plot.clientWidth), height: HEIGHT };
  }

  private readonly probe = h('span', { class: 'wb-vh wb-probe', 'aria-hidden': 'true' });
  private readonly resize: ResizeObserver;
  private readonly themes: MutationObserver;
  private plotly: Plotly | null = null;
  private pending = false;
  private broken = false;
  private model: RunModel | null = null;
  private shownModel: RunModel | null = null;
  private shown: Readonly<Record<TraceName, Points>> | null = null;
  private colours: ChartColours | null = null;
  private theme = '';
  private epoch = 0;
  private log = false;
  private disposed = false;
}

function isPrefix(short: readonly number[], long: readonly number[]): boolean {
  const last = short.length - 1;
  return long.length >= short.length && (last < 0 || (short[last] === long[last] && short[0] === long[0]));
}

function tail(points: Points, from: number): Points {
  return { x: points.x.slice(from), y: points.y.slice(from) };
}

/** The same numbers as a table, filled only while it is open. */
function lossTable(trans: Trans): { node: HTMLElement; update(model: RunModel): void } {
  const note = h('p', { class: 'wb-sub' });
  const body = h('tbody');
  const head = h(
    'tr',
    {},
    ...[trans.__('Step'), trans.__('Loss'), trans.__('Smoothed')].map(word => h('th', { scope: 'col' }, word))
  );
  const caption = h('caption', { class: 'wb-vh' }, trans.__('Training loss by step'));
  const table = h('table', { class: 'wb-ltable' }, caption, h('thead', {}, head), body);
  const node = h(
    'div',
    { class: 'wb-ltable-box', tabindex: '0', role: 'region', 'aria-label': trans.__('Training loss by step') },
    note,
    table
  );
  node.hidden = true;
  let drawn = '';
  const update = (model: RunModel): void => {
    const { step, loss, smoothed, epoch } = model.series;
    const key = `${epoch}:${step.length}`;
    if (node.hidden || key === drawn) {
      return;
    }
    drawn = key;
    const every = Math.max(1, Math.ceil(step.length / MOST_ROWS));
    const rows = step.flatMap((at, index) =>
      index % every === 0 || index === step.length - 1 ? [[at, index] as const] : []
    );
    setText(note, every === 1 ? '' : trans.__('Every %1th of the points drawn, and the last.', every));
    body.replaceChildren(
      ...rows.map(([at, index]) =>
        h(
          'tr',
          {},
          h('th', { scope: 'row' }, String(at)),
          h('td', {}, formatLoss(loss[index] ?? null)),
          h('td', {}, formatLoss(smoothed[index] ?? null))
        )
      )
    );
  };
  return { node, update };
}
