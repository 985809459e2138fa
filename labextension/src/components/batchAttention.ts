/** Which tokens of a lane may read which: the block-diagonal mask as triangles, to scale. */
import type { BatchPayload } from '../wire';
import type { Place } from './batchLanes';
import { attentionShare, laneName } from './batchWords';
import { formatShare, h, svg } from './component';
import type { Trans } from './component';

const SIZE = 190;
const MOST_LABELS = 6;
const SMALLEST_LABELLED = 0.1;

/** A document's triangle: each token (down) reads the tokens before it (across). */
function triangle(start: number, length: number, scale: number): string {
  const a = (start * scale).toFixed(1);
  const b = ((start + length) * scale).toFixed(1);
  return `M${a} ${a}V${b}H${b}Z`;
}

export function attentionFigure(payload: BatchPayload, place: Place, trans: Trans): HTMLElement {
  const lane = payload.lanes[place.lane] ?? { documents: [], tokens: 0, padding: 0 };
  const whole = payload.layout === 'packed' ? lane.tokens : payload.width;
  const scale = (SIZE - 2) / Math.max(1, whole);
  const opened = lane.documents[place.document];
  const others = lane.documents.filter(item => item !== opened);
  const labelled = lane.documents
    .filter(item => item.length >= SMALLEST_LABELLED * whole)
    .slice(0, MOST_LABELS)
    .map(item => {
      const middle = (item.start + item.length / 2) * scale;
      const isRight = middle < SIZE * 0.62;
      return svg(
        'text',
        {
          x: middle + (isRight ? 8 : -item.length * scale * 0.5 - 8),
          y: middle,
          'text-anchor': isRight ? 'start' : 'end'
        },
        trans.__('row %1', item.row)
      );
    });
  const share = attentionShare(
    lane.documents.map(item => item.length),
    whole
  );
  const line = payload.lanes.reduce((sum, item) => sum + item.tokens, 0);
  const ofBatch = attentionShare(
    payload.lanes.flatMap(item => item.documents.map(document => document.length)),
    line
  );
  const bare = laneName(payload, trans);
  const name = bare.charAt(0).toUpperCase() + bare.slice(1);
  const words = trans.__(
    'A token (down) may read earlier tokens of its own document only: %1 of the full triangle.',
    formatShare(share, 1)
  );
  return h(
    'figure',
    { class: 'wb-att' },
    svg(
      'svg',
      {
        width: SIZE,
        height: SIZE,
        viewBox: `-1 -1 ${SIZE} ${SIZE}`,
        role: 'img',
        'aria-label': `${name} ${place.lane}. ${words}`
      },
      svg('path', { class: 'wb-tri-bg', d: triangle(0, whole, scale) }),
      svg('path', { class: 'wb-tri', d: others.map(item => triangle(item.start, item.length, scale)).join('') }),
      opened === undefined ? null : svg('path', { class: 'wb-tri-o', d: triangle(opened.start, opened.length, scale) }),
      ...labelled
    ),
    h(
      'figcaption',
      {},
      h('b', {}, `${name} ${place.lane}.`),
      ` ${words}`,
      payload.layout === 'packed' && payload.lanes.length > 1
        ? ` ${trans.__('Of the whole line of the batch: %1.', formatShare(ofBatch, 1))}`
        : ''
    )
  );
}
