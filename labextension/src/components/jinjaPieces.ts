/** Jinja in type: marks of blocks, keywords, texts, comments. */
import { h } from './component';
import type { Child } from './component';

/** Where a line begins: in text, in a statement or expression, or in a comment. */
export type JinjaState = 'text' | 'code' | 'comment';

const KEYWORDS = new Set(
  (
    'for in if elif else endif endfor set endset macro endmacro call endcall filter endfilter block endblock is not and or ' +
    'generation endgeneration break continue recursive true false none True False None'
  ).split(' ')
);
const CODE = /('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|([-+]?[%}]\})|([A-Za-z_]\w*)|([^'"%}\-+A-Za-z_]+|.)/g;

interface Step {
  readonly kind: 'text' | 'mark' | 'keyword' | 'string' | 'comment' | 'code';
  readonly text: string;
}

/** The next step of a line that is in this state, and the state behind it. */
type Next = readonly [Step, JinjaState];

function inText(rest: string): readonly Next[] {
  const open = /\{[%{#][-+]?/.exec(rest);
  if (open === null) {
    return [[{ kind: 'text', text: rest }, 'text']];
  }
  const isComment = open[0][1] === '#';
  return [
    [{ kind: 'text', text: rest.slice(0, open.index) }, 'text'],
    [{ kind: isComment ? 'comment' : 'mark', text: open[0] }, isComment ? 'comment' : 'code']
  ];
}

function inComment(rest: string): readonly Next[] {
  const close = rest.indexOf('#}');
  return close < 0
    ? [[{ kind: 'comment', text: rest }, 'comment']]
    : [[{ kind: 'comment', text: rest.slice(0, close + 2) }, 'text']];
}

function inCode(rest: string): readonly Next[] {
  CODE.lastIndex = 0;
  const found = CODE.exec(rest);
  const text = found?.[0] ?? rest;
  if (found?.[2] !== undefined) {
    return [[{ kind: 'mark', text }, 'text']];
  }
  if (found?.[1] !== undefined) {
    return [[{ kind: 'string', text }, 'code']];
  }
  return [[{ kind: found?.[3] !== undefined && KEYWORDS.has(text) ? 'keyword' : 'code', text }, 'code']];
}

const READERS: Readonly<Record<JinjaState, (rest: string) => readonly Next[]>> = {
  text: inText,
  comment: inComment,
  code: inCode
};

function scan(line: string, begin: JinjaState): { readonly steps: readonly Step[]; readonly end: JinjaState } {
  const steps: Step[] = [];
  let state = begin;
  let at = 0;
  while (at < line.length) {
    for (const [step, next] of READERS[state](line.slice(at))) {
      const last = steps[steps.length - 1];
      if (last !== undefined && last.kind === step.kind && step.kind !== 'mark') {
        steps[steps.length - 1] = { kind: step.kind, text: last.text + step.text };
      } else if (step.text !== '') {
        steps.push(step);
      }
      at += step.text.length;
      state = next;
    }
  }
  return { steps, end: state };
}

/** State at the beginning of each line. */
export function jinjaStates(lines: readonly string[]): readonly JinjaState[] {
  let state: JinjaState = 'text';
  return lines.map(line => {
    const begin = state;
    state = scan(line, begin).end;
    return begin;
  });
}

const MOST_PIECES = 40;

/** Neighbouring texts become one node. */
function joined(children: readonly Child[]): Child[] {
  const made: Child[] = [];
  for (const child of children) {
    const last = made[made.length - 1];
    if (typeof child === 'string' && typeof last === 'string') {
      made[made.length - 1] = last + child;
    } else {
      made.push(child);
    }
  }
  return made;
}

/** A line's pieces; the far end of a very long line is plain. `frugal` leaves the marks of blocks in plain type. */
export function linePieces(line: string, begin: JinjaState, frugal = false): Child[] {
  const { steps } = scan(line, begin);
  const shown = steps.slice(0, MOST_PIECES).map(step => {
    switch (step.kind) {
      case 'keyword':
        return h('b', {}, step.text);
      case 'string':
        return h('span', { class: 'wb-js' }, step.text);
      case 'mark':
      case 'comment':
        return frugal ? step.text : h('span', { class: 'wb-jm' }, step.text);
      default:
        return step.text;
    }
  });
  const rest = steps.slice(MOST_PIECES).map(step => step.text);
  return [...joined(shown), rest.length === 0 ? null : rest.join('')];
}
