/** A line of loss as small as a word. */

import { svg } from './component';
import type { Trans } from './component';
import { setAttribute, setText } from './runCardParts';
import type { Series } from '../runs/state';

const WIDTH = 110;
const HEIGHT = 18;
const MOST_POINTS = 72;

export interface Sparkline {
  readonly node: SVGSVGElement;
  update(series: Series): void;
}

/** Draw the smoothed loss; a decoration with a sentence for readers who do not see it. */
export function sparkline(trans: Trans): Sparkline {
  const line = svg('polyline');
  const dot = svg('circle', { r: 2.2 });
  const title = svg('title');
  const node = svg(
    'svg',
    { class: 'wb-spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, role: 'img' },
    title,
    line,
    dot
  );
  const update = (series: Series): void => {
    const values = series.smoothed.filter(value => value !== null);
    node.toggleAttribute('hidden', values.length < 2);
    if (values.length < 2) {
      return;
    }
    const points = place(values);
    setAttribute(line, 'points', points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' '));
    const [x, y] = points[points.length - 1] ?? [0, 0];
    setAttribute(dot, 'cx', x.toFixed(1));
    setAttribute(dot, 'cy', y.toFixed(1));
    const falling = (values[values.length - 1] ?? 0) < (values[0] ?? 0);
    const sentence = falling ? trans.__('Loss falling') : trans.__('Loss not falling');
    setText(title, sentence);
    setAttribute(node, 'aria-label', sentence);
  };
  return { node, update };
}

function place(values: readonly number[]): [number, number][] {
  const every = Math.max(1, Math.ceil(values.length / MOST_POINTS));
  const shown = values.filter((_, index) => index % every === 0 || index === values.length - 1);
  const low = Math.min(...shown);
  const range = Math.max(...shown) - low || 1;
  return shown.map((value, index) => [
    2 + (index / (shown.length - 1)) * (WIDTH - 6),
    HEIGHT - 3 - ((value - low) / range) * (HEIGHT - 6)
  ]);
}
