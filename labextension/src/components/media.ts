/** Images among the tokens of a row: which token stands for which, and what their chip holds. */
import type { Medium, Row } from '../wire';
import type { RowModel } from './rowModel';

/** Width in pixels of a chip's small picture with its margin, as in media.css, and of the sign of an error. */
const THUMB = 22;
const SIGN = 21;

export function mediumFinder(row: Row): (token: number) => Medium | null {
  const found = new Map<number, Medium>();
  for (const medium of row.media) {
    const end = Math.min(medium.end, row.tokens.id.length);
    for (let token = Math.max(0, medium.start); token < end; token += 1) {
      found.set(token, medium);
    }
  }
  return token => found.get(token) ?? null;
}

/** What stands on the chip of an image. */
export function mediumText(model: RowModel, token: number): string {
  const medium = model.mediumAt(token);
  return medium === null ? '' : `${medium.name}×${medium.end - medium.start}`;
}

/** How many tokens of the image that `token` stands in are trained: an error. */
export function supervisedIn(model: RowModel, token: number): number {
  const medium = model.mediumAt(token);
  let count = 0;
  for (let at = medium?.start ?? 0; at < (medium?.end ?? 0); at += 1) {
    count += model.row.tokens.trained[at] === 1 ? 1 : 0;
  }
  return count;
}

/** Width in pixels of what stands on an image's chip beside its text. */
export function extraWidth(model: RowModel, token: number, hasSign: boolean): number {
  const thumb = model.mediumAt(token)?.thumbnail === null ? 0 : THUMB;
  return thumb + (supervisedIn(model, token) > 0 && !hasSign ? SIGN : 0);
}
