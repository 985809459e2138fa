/**
 * Make every character visible: spaces, newlines, controls, characters without width, and marks that turn text around.
 *
 * Text is untrusted: a bidirectional override that is shown as itself could make a masked token read like another one.
 */

export type PieceKind = 'text' | 'space' | 'newline' | 'tab' | 'hidden';

export interface Piece {
  readonly kind: PieceKind;
  /** What is drawn; for hidden characters their short name. */
  readonly shown: string;
}

/** Short names by Unicode's aliases (NameAliases.txt, 15.1); others are shown by their code point. */
const NAMES: Readonly<Record<number, string>> = {
  0x00: 'NUL',
  0x07: 'BEL',
  0x08: 'BS',
  0x0b: 'VT',
  0x0c: 'FF',
  0x0d: 'CR',
  0x1b: 'ESC',
  0x7f: 'DEL',
  0x85: 'NEL',
  0xa0: 'NBSP',
  0xad: 'SHY',
  0x034f: 'CGJ',
  0x061c: 'ALM',
  0x180e: 'MVS',
  0x200b: 'ZWSP',
  0x200c: 'ZWNJ',
  0x200d: 'ZWJ',
  0x200e: 'LRM',
  0x200f: 'RLM',
  0x2028: 'LS',
  0x2029: 'PS',
  0x202a: 'LRE',
  0x202b: 'RLE',
  0x202c: 'PDF',
  0x202d: 'LRO',
  0x202e: 'RLO',
  0x202f: 'NNBSP',
  0x2060: 'WJ',
  0x2066: 'LRI',
  0x2067: 'RLI',
  0x2068: 'FSI',
  0x2069: 'PDI',
  0xfeff: 'BOM',
  0xfffd: 'U+FFFD'
};

/** Controls, format characters, separators, private use, lone surrogates, the replacement character, tag characters. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\u034f\ufffd\u115f\u1160\u3164\uffa0]|(?! )\p{Zs}/u;
const SPLIT =
  /( +)|(\n+)|(\t)|([\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}\u034f\ufffd\u115f\u1160\u3164\uffa0]|(?! )\p{Zs})/gu;
const PLAIN = /^[^\s\p{C}\p{Z}\u034f\ufffd\u115f\u1160\u3164\uffa0]*$/u;

/** `U+202E RLO` */
export function nameOf(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const name = NAMES[code];
  const point = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
  return name === undefined || name === point ? point : `${point} ${name}`;
}

function shortName(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return NAMES[code] ?? `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
}

/** The characters of a text that are not to be seen, by name, each once. */
export function hiddenNames(text: string): readonly string[] {
  const found = new Set<string>();
  for (const character of text) {
    if (character !== '\n' && character !== '\t' && HIDDEN.test(character)) {
      found.add(nameOf(character));
    }
  }
  return [...found];
}

/** Whether the text has nothing but characters that show themselves. */
export function isPlain(text: string): boolean {
  return PLAIN.test(text) && !MARKS_ALONE.test(text);
}

/** Cut a text into what is drawn. A joiner inside a drawn cluster (emoji, Indic) stays with it. */
export function visiblePieces(text: string): readonly Piece[] {
  if (MARKS_ALONE.test(text)) {
    return [marksAlone(text)];
  }
  const pieces: Piece[] = [];
  let plainFrom = 0;
  const plainTo = (end: number): void => {
    if (end > plainFrom) {
      pieces.push({ kind: 'text', shown: text.slice(plainFrom, end) });
    }
  };
  for (const match of text.matchAll(SPLIT)) {
    const from = match.index;
    if (match[4] !== undefined && joins(text, from, match[4])) {
      continue;
    }
    plainTo(from);
    plainFrom = from + match[0].length;
    pieces.push(pieceOf(match));
  }
  plainTo(text.length);
  return pieces;
}

/** A token of combining marks only would be drawn on the token before it. */
function marksAlone(text: string): Piece {
  return SELECTORS.test(text)
    ? { kind: 'hidden', shown: [...text].map(shortName).join(' ') }
    : { kind: 'text', shown: `\u25cc${text}` };
}

function pieceOf(match: RegExpExecArray): Piece {
  if (match[1] !== undefined) {
    return { kind: 'space', shown: '·'.repeat(match[1].length) };
  }
  if (match[2] !== undefined) {
    return { kind: 'newline', shown: '↵'.repeat(match[2].length) };
  }
  if (match[3] !== undefined) {
    return { kind: 'tab', shown: '⇥' };
  }
  return { kind: 'hidden', shown: shortName(match[0]) };
}

const JOINER = /^[\u200c\u200d]$/;
/** Scripts whose letters change shape by joiners; in Latin, Greek, Cyrillic or Han a joiner only hides. */
const NO_JOINING = '(?![\\p{Script=Latin}\\p{Script=Greek}\\p{Script=Cyrillic}\\p{Script=Han}])';
const LETTER_BEFORE = new RegExp(
  `(?:[\\p{Extended_Pictographic}\\p{M}\\p{Emoji_Modifier}\\ufe0f]|${NO_JOINING}\\p{L})$`,
  'u'
);
const LETTER_AFTER = new RegExp(`^(?:\\p{Extended_Pictographic}|${NO_JOINING}\\p{L})`, 'u');
const MARKS_ALONE = /^\p{M}+$/u;
const SELECTORS = /^[\ufe00-\ufe0f\u{e0100}-\u{e01ef}]+$/u;
const TAG = /^[\u{e0020}-\u{e007f}]$/u;

/** ZWJ and ZWNJ between two letters or pictures shape them; anywhere else they hide something. */
function joins(text: string, at: number, character: string): boolean {
  if (TAG.test(character)) {
    return false;
  }
  return JOINER.test(character) && LETTER_BEFORE.test(text.slice(0, at)) && LETTER_AFTER.test(text.slice(at + 1));
}

const LETTER = /\p{L}/u;
const RIGHT_TO_LEFT = /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;

/** Direction of the first letter, as `dir=auto` finds it; null where there is none. */
export function direction(text: string): 'ltr' | 'rtl' | null {
  for (const character of text) {
    if (RIGHT_TO_LEFT.test(character)) {
      return 'rtl';
    }
    if (LETTER.test(character)) {
      return 'ltr';
    }
  }
  return null;
}
