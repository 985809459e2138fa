/** Which blocks a lane is drawn with: one a document, and one for several that are too narrow to be seen alone. */
import type { BatchLane, BatchPayload } from '../wire';

/** Documents `first` to `last` (inclusive) of a lane. */
export interface Block {
  readonly first: number;
  readonly last: number;
  readonly start: number;
  readonly end: number;
  readonly differs: boolean;
}

/** Narrowest block, as a share of the lane. */
const NARROWEST = 0.02;

/** `most`: blocks that may be drawn. */
export function blocksOf(lane: BatchLane, width: number, most: number): readonly Block[] {
  const narrowest = Math.max(NARROWEST, 1 / Math.max(1, most)) * width;
  const blocks: Block[] = [];
  let group: Block | null = null;
  const close = (): void => {
    if (group !== null) {
      blocks.push(group);
      group = null;
    }
  };
  lane.documents.forEach((document, index) => {
    const end = document.start + document.length;
    const differs = document.differs > 0;
    if (document.length >= narrowest) {
      close();
      blocks.push({ first: index, last: index, start: document.start, end, differs });
      return;
    }
    group =
      group === null
        ? { first: index, last: index, start: document.start, end, differs }
        : { ...group, last: index, end, differs: group.differs || differs };
    if (group.end - group.start >= narrowest) {
      close();
    }
  });
  close();
  return blocks;
}

/** One path over all trained stretches of a lane, in tokens by a height of 1; blocks are `gap` tokens apart. */
export function trainedPath(lane: BatchLane, gap: number): string {
  return lane.documents
    .flatMap(document => {
      const scale = Math.max(0.1, 1 - gap / Math.max(1, document.length));
      const x = (token: number): string => (document.start + (token - document.start) * scale).toFixed(2);
      return document.spans.map(([start, end]) => `M${x(start)} 0H${x(end)}V1H${x(start)}Z`);
    })
    .join('');
}

/** Document at about the same place in another lane. */
export function nearest(payload: BatchPayload, from: { lane: number; document: number }, lane: number): number {
  const here = payload.lanes[from.lane]?.documents[from.document];
  const documents = payload.lanes[lane]?.documents ?? [];
  const middle = here === undefined ? 0 : here.start + here.length / 2;
  const found = documents.findIndex(item => item.start + item.length > middle);
  return found < 0 ? Math.max(0, documents.length - 1) : found;
}
