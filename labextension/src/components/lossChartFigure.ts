/** The loss chart as Plotly data: traces, layout, and what to append. Pure, but for reading colours. */

import type { Trans } from './component';
import type { RunModel } from '../runs/state';

/** Colours as Plotly takes them, read from the page. */
export interface ChartColours {
  readonly line: string;
  readonly raw: string;
  readonly evaluation: string;
  readonly mark: string;
  readonly ink: string;
  readonly text: string;
  readonly grid: string;
  readonly axis: string;
  readonly background: string;
  readonly warning: string;
}

const VARIABLES: Readonly<Record<keyof ChartColours, string>> = {
  line: '--wb-blue',
  raw: '--wb-d3',
  evaluation: '--wb-orange',
  mark: '--wb-text-2',
  ink: '--wb-ink',
  text: '--wb-text-2',
  grid: '--wb-border',
  axis: '--wb-border-strong',
  background: '--wb-bg',
  warning: '--wb-orange-text'
};

/** One pixel that turns any CSS colour into red, green and blue. */
let pixel: CanvasRenderingContext2D | null = null;

function pixelContext(): CanvasRenderingContext2D | null {
  if (pixel === null) {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 1;
    pixel = canvas.getContext('2d', { willReadFrequently: true });
  }
  return pixel;
}

/** What the --wb-* variables are at `probe`; they hold color-mix(), which Plotly cannot read. */
export function readColours(probe: HTMLElement): ChartColours {
  const context = pixelContext();
  const read = (variable: string): string => {
    probe.style.color = `var(${variable})`;
    const computed = getComputedStyle(probe).color;
    if (context === null) {
      return computed;
    }
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = computed;
    context.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = context.getImageData(0, 0, 1, 1).data;
    return `rgba(${red}, ${green}, ${blue}, ${((alpha ?? 255) / 255).toFixed(3)})`;
  };
  const names = Object.keys(VARIABLES) as (keyof ChartColours)[];
  const colours = Object.fromEntries(names.map(name => [name, read(VARIABLES[name])]));
  probe.style.removeProperty('color');
  return colours as Record<keyof ChartColours, string>;
}

/** Points of one trace. */
export interface Points {
  readonly x: readonly number[];
  readonly y: readonly (number | null)[];
}

/** Order of the traces in the figure. */
export const TRACES = ['raw', 'smoothed', 'eval', 'samples', 'checkpoints', 'warnings', 'now'] as const;
export type TraceName = (typeof TRACES)[number];

/** All points of the run, by trace. Samples, checkpoints and warnings lie on a track below the curve. */
export function pointsOf(model: RunModel): Readonly<Record<TraceName, Points>> {
  const { step, loss, smoothed } = model.series;
  const track = (steps: readonly number[]): Points => ({ x: steps, y: steps.map(() => 0) });
  const lastSmoothed = smoothed[smoothed.length - 1];
  const lastStep = step[step.length - 1];
  const now =
    lastStep === undefined || typeof lastSmoothed !== 'number'
      ? { x: [], y: [] }
      : { x: [lastStep], y: [lastSmoothed] };
  return {
    raw: { x: step, y: loss },
    smoothed: { x: step, y: smoothed },
    eval: { x: model.evals.step, y: model.evals.loss },
    samples: track([...new Set(model.samples.map(sample => sample.step))].sort((a, b) => a - b)),
    checkpoints: track(model.checkpoints),
    warnings: track(model.warnings.map(warning => warning.step)),
    now
  };
}

/** Traces in the order of `TRACES`. Names and hover texts hold numbers and our own words, never text of the data. */
export function traces(
  points: Readonly<Record<TraceName, Points>>,
  colours: ChartColours,
  trans: Trans
): Readonly<Record<string, unknown>>[] {
  const styles: Readonly<Record<TraceName, Readonly<Record<string, unknown>>>> = {
    raw: {
      name: trans.__('each step'),
      mode: 'lines',
      line: { color: colours.raw, width: 1 },
      hovertemplate: '%{y:.4g}'
    },
    smoothed: {
      name: trans.__('smoothed'),
      mode: 'lines',
      line: { color: colours.line, width: 2 },
      hovertemplate: '%{y:.4g}'
    },
    eval: {
      name: trans.__('eval'),
      mode: 'lines+markers',
      line: { color: colours.warning, width: 1, dash: 'dot' },
      marker: { symbol: 'diamond', size: 9, color: colours.evaluation, line: { color: colours.ink, width: 1 } },
      hovertemplate: '%{y:.4g}'
    },
    samples: {
      ...mark(trans.__('samples'), 'circle', colours),
      marker: { symbol: 'circle', size: 9, color: colours.background, line: { color: colours.mark, width: 1.5 } }
    },
    checkpoints: {
      ...mark(trans.__('checkpoint'), 'square', colours),
      marker: { symbol: 'square', size: 8, color: colours.mark }
    },
    warnings: {
      ...mark(trans.__('warning'), 'triangle-up', colours),
      marker: { symbol: 'triangle-up', size: 10, color: colours.evaluation, line: { color: colours.ink, width: 0.8 } }
    },
    now: {
      mode: 'markers+text',
      texttemplate: (points.now.y[0] ?? 1) >= 0.1 ? '<b>%{y:.2f}</b>' : '<b>%{y:.3g}</b>',
      textposition: 'middle right',
      textfont: { color: colours.ink, size: 12 },
      marker: { symbol: 'circle', size: 7, color: colours.background, line: { color: colours.line, width: 2 } },
      hoverinfo: 'skip',
      cliponaxis: false
    }
  };
  return TRACES.map(name => ({ type: 'scatter', x: [...points[name].x], y: [...points[name].y], ...styles[name] }));
}

function mark(name: string, symbol: string, colours: ChartColours): Readonly<Record<string, unknown>> {
  return {
    name,
    mode: 'markers',
    yaxis: 'y2',
    marker: { symbol, color: colours.mark },
    hovertemplate: '%{x}',
    cliponaxis: false
  };
}

/** Layout; `width` and `height` in CSS pixels. */
export function layout(
  colours: ChartColours,
  size: { width: number; height: number },
  log: boolean,
  font: string,
  trans: Trans
): Readonly<Record<string, unknown>> {
  const axis = { gridcolor: colours.grid, zeroline: false, showline: false, fixedrange: true };
  return {
    ...size,
    margin: { l: 34, r: 34, t: 6, b: 20 },
    paper_bgcolor: 'rgba(0, 0, 0, 0)',
    plot_bgcolor: 'rgba(0, 0, 0, 0)',
    font: { family: font, size: 11, color: colours.text },
    showlegend: false,
    hovermode: 'x unified',
    hoverlabel: { bgcolor: colours.background, bordercolor: colours.axis, font: { color: colours.ink, size: 11 } },
    dragmode: false,
    xaxis: {
      ...axis,
      showgrid: false,
      rangemode: 'tozero',
      nticks: 7,
      tickprefix: trans.__('step '),
      showtickprefix: 'first',
      anchor: 'y2'
    },
    yaxis: { ...axis, domain: [0.22, 1], type: log ? 'log' : 'linear', nticks: 6 },
    yaxis2: {
      domain: [0, 0.16],
      range: [-1, 1],
      fixedrange: true,
      showgrid: false,
      showticklabels: false,
      zeroline: true,
      zerolinecolor: colours.axis
    }
  };
}
