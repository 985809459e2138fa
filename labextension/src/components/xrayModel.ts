/** A rendering with its indices: characters, runs, tokens and template lines found from one another. */
import type { Cut, Rendering, XrayView } from '../wire';
import { lastAtMost } from './rowModel';

/** What is pointed at. Lines count from 1; everything else from 0. */
export type Target =
  | { readonly kind: 'line'; readonly line: number }
  | { readonly kind: 'run'; readonly run: number }
  | { readonly kind: 'token'; readonly token: number }
  | { readonly kind: 'cut'; readonly cut: number };

/** What lights up. Spans are of characters, end exclusive. */
export interface Lit {
  readonly lines: ReadonlySet<number>;
  readonly spans: readonly (readonly [number, number])[];
  isTokenLit(token: number): boolean;
  isCutLit(cut: number): boolean;
}

/** Python counts characters, JavaScript half-characters; where the text has no others, both are the same. */
class Characters {
  private readonly starts: readonly number[] | null;

  constructor(private readonly text: string) {
    this.starts = /[\ud800-\udfff]/.test(text) ? Characters.startsOf(text) : null;
  }

  private static startsOf(text: string): readonly number[] {
    const starts: number[] = [];
    for (let at = 0; at < text.length;) {
      starts.push(at);
      at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
    }
    starts.push(text.length);
    return starts;
  }

  get length(): number {
    return this.starts === null ? this.text.length : this.starts.length - 1;
  }

  slice(start: number, end: number): string {
    const { starts, text } = this;
    if (starts === null) {
      return text.slice(start, end);
    }
    return text.slice(starts[start] ?? text.length, starts[end] ?? text.length);
  }
}

const NEWLINE = /\r\n|\r|\n/;

/** Lines as Jinja counts them. */
export function sourceLines(source: string): readonly string[] {
  return source.split(NEWLINE);
}

export class XrayModel {
  readonly lines: readonly string[];
  readonly rendering: Rendering | null;
  readonly runCount: number;
  readonly tokenCount: number;
  /** Characters that are here; the text may be longer. */
  readonly characters: number;
  private readonly starts: readonly number[];
  private readonly text: Characters;

  constructor(readonly view: XrayView) {
    this.lines = sourceLines(view.source);
    this.rendering = view.rendering;
    this.text = new Characters(view.rendering?.text ?? '');
    const lengths = view.rendering?.runs.length ?? [];
    const starts: number[] = [];
    let at = 0;
    for (const length of lengths) {
      starts.push(at);
      at += length;
    }
    this.starts = starts;
    this.runCount = lengths.length;
    this.tokenCount = view.rendering?.tokens?.id.length ?? 0;
    this.characters = at;
  }

  /** Whether all of the text is here, and not only its beginning. */
  get isWhole(): boolean {
    return this.characters >= (this.rendering?.characters ?? 0);
  }

  get cuts(): readonly Cut[] {
    return this.rendering?.cuts ?? [];
  }

  made(line: number): { tokens: number; characters: number; places: number; removed: number } {
    const { tokens, characters, places, removed } = this.view.made;
    const at = line - 1;
    return {
      tokens: tokens[at] ?? 0,
      characters: characters[at] ?? 0,
      places: places[at] ?? 0,
      removed: removed[at] ?? 0
    };
  }

  slice(start: number, end: number): string {
    return this.text.slice(start, end);
  }

  runStart(run: number): number {
    return this.starts[run] ?? 0;
  }

  runEnd(run: number): number {
    return this.runStart(run) + (this.rendering?.runs.length[run] ?? 0);
  }

  lineOfRun(run: number): number {
    return this.rendering?.runs.line[run] ?? 0;
  }

  /** Field of a run; null for template text. */
  fieldOfRun(run: number): string | null {
    const { rendering } = this;
    return rendering === null ? null : (rendering.fields[rendering.runs.field[run] ?? -1] ?? null);
  }

  /** Whether a run is text of the data, and not a role's name. */
  isData(run: number): boolean {
    return this.fieldOfRun(run) !== null && this.rendering?.runs.role[run] !== 1;
  }

  isPrompt(character: number): boolean {
    const start = this.rendering?.prompt_start ?? null;
    return start !== null && character >= start;
  }

  runAt(character: number): number {
    return lastAtMost(this.runCount, run => this.runStart(run), character);
  }

  tokenSpan(token: number): readonly [number, number] {
    const tokens = this.rendering?.tokens;
    return [tokens?.start[token] ?? 0, tokens?.end[token] ?? 0];
  }

  /** First token that reaches beyond a character. */
  tokenAt(character: number): number {
    const ends = this.rendering?.tokens?.end ?? [];
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ends[middle] ?? 0) <= character) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /** Runs under the characters of a span. */
  runsOver(start: number, end: number): readonly number[] {
    const found: number[] = [];
    if (this.runCount === 0) {
      return found;
    }
    for (let run = this.runAt(start); run < this.runCount && this.runStart(run) < Math.max(end, start + 1); run += 1) {
      found.push(run);
    }
    return found;
  }

  linesOfToken(token: number): readonly number[] {
    const [start, end] = this.tokenSpan(token);
    return [...new Set(this.runsOver(start, end).map(run => this.lineOfRun(run)))].filter(line => line > 0);
  }

  /** First run of a line at or behind a run; from the start again if there is none. */
  nextRunOf(line: number, from: number): number | null {
    for (let step = 0; step < this.runCount; step += 1) {
      const run = (from + step) % this.runCount;
      if (this.lineOfRun(run) === line) {
        return run;
      }
    }
    return null;
  }
}

function overlaps(a: readonly [number, number], b: readonly [number, number]): boolean {
  return a[0] < Math.max(b[1], b[0] + 1) && b[0] < a[1];
}

function spansOfLine(model: XrayModel, line: number): readonly (readonly [number, number])[] {
  const spans: [number, number][] = [];
  for (let run = 0; run < model.runCount; run += 1) {
    if (model.lineOfRun(run) === line) {
      const last = spans[spans.length - 1];
      if (last !== undefined && last[1] === model.runStart(run)) {
        last[1] = model.runEnd(run);
      } else {
        spans.push([model.runStart(run), model.runEnd(run)]);
      }
    }
  }
  return spans;
}

/** Spans in ascending order: a look-up costs the logarithm of their number. */
function inSpans(spans: readonly (readonly [number, number])[], wanted: readonly [number, number]): boolean {
  if (spans.length === 0) {
    return false;
  }
  const at = lastAtMost(spans.length, index => spans[index]?.[0] ?? 0, wanted[0]);
  return [at, at + 1].some(index => {
    const span = spans[index];
    return span !== undefined && overlaps(span, wanted);
  });
}

/** What lights up when something is pointed at. */
export function litBy(model: XrayModel, target: Target): Lit {
  switch (target.kind) {
    case 'line': {
      const spans = spansOfLine(model, target.line);
      return {
        lines: new Set([target.line]),
        spans,
        isTokenLit: token => inSpans(spans, model.tokenSpan(token)),
        isCutLit: cut => model.cuts[cut]?.line === target.line
      };
    }
    case 'run': {
      const span = [model.runStart(target.run), model.runEnd(target.run)] as const;
      return {
        lines: new Set([model.lineOfRun(target.run)]),
        spans: [span],
        isTokenLit: token => overlaps(span, model.tokenSpan(token)),
        isCutLit: () => false
      };
    }
    case 'token':
      return {
        lines: new Set(model.linesOfToken(target.token)),
        spans: [model.tokenSpan(target.token)],
        isTokenLit: token => token === target.token,
        isCutLit: () => false
      };
    case 'cut': {
      const line = model.cuts[target.cut]?.line ?? null;
      return {
        lines: new Set(line === null ? [] : [line]),
        spans: [],
        isTokenLit: () => false,
        isCutLit: cut => cut === target.cut
      };
    }
  }
}
