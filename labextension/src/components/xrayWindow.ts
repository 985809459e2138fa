/**
 * Which stretch of a long text is drawn. Text and tokens share it, so that what is linked is seen together.
 *
 * A text of up to WHOLE_TOKENS tokens is drawn whole; of a longer one, a page, so that the number of nodes does not grow.
 */
import type { XrayModel } from './xrayModel';

export interface Window {
  /** Characters, end exclusive. */
  readonly start: number;
  readonly end: number;
  /** Tokens, end exclusive. */
  readonly from: number;
  readonly to: number;
}

const WHOLE_TOKENS = 400;
const WHOLE_CHARACTERS = 4_000;
const WHOLE_RUNS = 150;
const PAGE_TOKENS = 120;
const PAGE_CHARACTERS = 1_200;
const PAGE_RUNS = 24;
/** Tokens that are not worth a page of their own. */
const NEAR_THE_BEGINNING = 16;

function isShort(model: XrayModel): boolean {
  return (
    model.tokenCount <= WHOLE_TOKENS &&
    model.characters <= WHOLE_CHARACTERS &&
    model.runCount + model.cuts.length <= WHOLE_RUNS
  );
}

/** The page that begins at a character. */
export function windowFrom(model: XrayModel, character: number): Window {
  if (isShort(model)) {
    return { start: 0, end: model.characters, from: 0, to: model.tokenCount };
  }
  const run = model.runAt(character);
  const lastRun = Math.min(model.runCount - 1, run + PAGE_RUNS);
  if (model.tokenCount === 0) {
    const end = Math.min(model.characters, character + PAGE_CHARACTERS, model.runEnd(lastRun));
    return { start: character, end, from: 0, to: 0 };
  }
  const from = model.tokenAt(character);
  const most = Math.min(model.characters, character + PAGE_CHARACTERS, model.runEnd(lastRun));
  const to = Math.max(from + 1, Math.min(model.tokenCount, from + PAGE_TOKENS, model.tokenAt(most - 1) + 1));
  return { start: model.tokenSpan(from)[0], end: Math.max(model.tokenSpan(to - 1)[1], character + 1), from, to };
}

/** The page before a window. */
export function windowBefore(model: XrayModel, window: Window): Window {
  const first = window.from - PAGE_TOKENS;
  const back =
    model.tokenCount === 0
      ? window.start - PAGE_CHARACTERS
      : first <= NEAR_THE_BEGINNING
        ? 0
        : model.tokenSpan(first)[0];
  const made = windowFrom(model, Math.max(0, back, window.start - PAGE_CHARACTERS));
  return made.end >= window.end && made.start > 0 ? windowFrom(model, Math.max(0, window.start - 200)) : made;
}

/** A page that shows a character near its beginning. */
export function windowAround(model: XrayModel, character: number): Window {
  return windowFrom(model, Math.max(0, character - Math.floor(PAGE_CHARACTERS / 8)));
}
