/** Comparing two samples by words. */

import { changedPieces } from './codeLine';

export interface Piece {
  readonly text: string;
  readonly fresh: boolean;
}

export interface Comparison {
  readonly pieces: readonly Piece[];
  /** Words that are new, and words in all. */
  readonly fresh: number;
  readonly words: number;
}

interface Word {
  readonly text: string;
  readonly counts: boolean;
}

/** Words beyond this are compared only at the two ends, so that a long sample cannot stall the page. */
const MOST_WORDS = 600;

const segmenter = new Intl.Segmenter(undefined, { granularity: 'word' });

function split(text: string): Word[] {
  return Array.from(segmenter.segment(text), part => ({ text: part.segment, counts: part.segment.trim() !== '' }));
}

/** What of `after` is not in `before`, in the order of `after` (longest common subsequence of words). */
export function compareWords(before: string, after: string): Comparison {
  const old = split(before).map(word => word.text);
  const words = split(after);
  const kept = commonFlags(old, words);
  const counted = words.filter(word => word.counts).length;
  const fresh = words.filter((word, index) => word.counts && !kept[index]).length;
  return { pieces: join(words, kept), fresh, words: counted };
}

function join(words: readonly Word[], kept: readonly boolean[]): Piece[] {
  const pieces: Piece[] = [];
  words.forEach((word, index) => {
    const last = pieces[pieces.length - 1];
    // White space belongs to what stands around it: new only between two new words.
    const fresh = word.counts ? !kept[index] : last?.fresh === true && kept[index + 1] === false;
    if (last !== undefined && last.fresh === fresh) {
      pieces[pieces.length - 1] = { text: last.text + word.text, fresh };
    } else {
      pieces.push({ text: word.text, fresh });
    }
  });
  return pieces;
}

function commonFlags(old: readonly string[], words: readonly Word[]): boolean[] {
  const kept = words.map(() => false);
  let start = 0;
  while (start < old.length && start < words.length && old[start] === words[start]?.text) {
    kept[start] = true;
    start += 1;
  }
  let end = 0;
  const shorter = Math.min(old.length, words.length) - start;
  while (end < shorter && old[old.length - 1 - end] === words[words.length - 1 - end]?.text) {
    kept[words.length - 1 - end] = true;
    end += 1;
  }
  const oldMiddle = old.slice(start, old.length - end);
  const middle = words.slice(start, words.length - end).map(word => word.text);
  if (oldMiddle.length <= MOST_WORDS && middle.length <= MOST_WORDS) {
    const changed = changedPieces(oldMiddle, middle);
    middle.forEach((_, index) => {
      kept[start + index] = !changed.has(index);
    });
  }
  return kept;
}

/** Whether the text ends in the same words three times over (and at least 12 characters of it). */
export function repeats(text: string): boolean {
  const words = split(text)
    .filter(word => word.counts)
    .map(word => word.text);
  for (let period = 1; period * 3 <= words.length && period <= 60; period++) {
    // The last round may be cut short: look at every phase of the end.
    for (let spare = 0; spare < period && words.length - spare >= period * 3; spare++) {
      const end = words.length - spare;
      const cycle = words.slice(end - period, end);
      const rest = words.slice(end);
      const same =
        [1, 2].every(round => cycle.every((word, index) => word === words[end - period * (round + 1) + index])) &&
        rest.every(
          (word, index) => word === cycle[index] || (index === rest.length - 1 && cycle[index]?.startsWith(word))
        );
      if (same && cycle.join('').length * 3 >= 12) {
        return true;
      }
    }
  }
  return false;
}
