/** From place to place over the borders of rows: what is searched for, and problems. */
import type { Row } from '../wire';
import type { FindState } from './tokenFind';
import { kindOf } from './problemKinds';
import type { ProblemKind } from './problemKinds';
import type { RowModel } from './rowModel';
import type { TokenRows } from './tokenRows';

/** The part of the viewer that walks use. */
export interface Walked {
  readonly model: RowModel;
  readonly position: number;
  readonly current: number;
  readonly handle: string | null;
  isInTokens(): boolean;
  go(token: number, focus: boolean): void;
  goToRow(position: number, token: number): Promise<boolean>;
  /** Do something that may ask the kernel; null where that failed, which has been said then. */
  ask<T>(work: () => Promise<T>): Promise<T | null>;
}

export class Search {
  private rowsWith: { readonly text: string; readonly rows: number | null } = { text: '', rows: null };

  constructor(
    private readonly viewer: Walked,
    private readonly rows: TokenRows
  ) {}

  /** Where one stands among the places of the text in this row. */
  state(text: string): FindState {
    const places = this.viewer.model.matches(text);
    const at = places.indexOf(this.viewer.current);
    const rows = this.rowsWith.text === text ? this.rowsWith.rows : null;
    return { places: places.length, at: at < 0 ? null : at, rows };
  }

  /** To the next place, or the one before, in this row or the next that has one. */
  async step(text: string, back: boolean): Promise<FindState> {
    const { viewer } = this;
    const places = viewer.model.matches(text);
    const ahead = back
      ? places.filter(token => token < viewer.current).at(-1)
      : places.find(token => token > viewer.current);
    const start = this.rowsWith.text !== text && places.includes(viewer.current) ? viewer.current : ahead;
    if (this.rowsWith.text !== text) {
      await this.count(text);
    }
    if (start !== undefined) {
      viewer.go(start, false);
    } else if (!(await this.toOtherRow(text, back)) && places.length > 0) {
      viewer.go((back ? places.at(-1) : places[0]) ?? 0, false);
    }
    return this.state(text);
  }

  private async count(text: string): Promise<void> {
    const { handle, position } = this.viewer;
    const answer = handle === null ? null : await this.viewer.ask(() => this.rows.find(text, position, false));
    this.rowsWith = { text, rows: answer?.rows ?? null };
  }

  private async toOtherRow(text: string, back: boolean): Promise<boolean> {
    const { viewer } = this;
    if (viewer.handle === null) {
      return false;
    }
    const answer = await viewer.ask(() => this.rows.find(text, viewer.position, back));
    const position = answer?.position ?? null;
    if (position === null || position === viewer.position || !(await viewer.goToRow(position, 0))) {
      return false;
    }
    const places = viewer.model.matches(text);
    viewer.go((back ? places.at(-1) : places[0]) ?? 0, false);
    return true;
  }
}

/** Tokens that problems of a kind are about, ascending; notes count where every kind is wanted. */
export function problemTokens(model: RowModel, kind: ProblemKind | null): readonly number[] {
  if (kind === null) {
    return model.problems;
  }
  const tokens = model.placed.filter(item => kindOf(item.finding) === kind).map(item => item.token);
  return [...new Set(tokens.filter(token => token !== null))].sort((a, b) => a - b);
}

function hasProblem(row: Row, kind: ProblemKind | null): boolean {
  return row.findings.some(finding => kind === null || kindOf(finding) === kind);
}

export class Problems {
  kind: ProblemKind | null = null;

  constructor(
    private readonly viewer: Walked,
    private readonly rows: TokenRows
  ) {}

  get here(): readonly number[] {
    return problemTokens(this.viewer.model, this.kind);
  }

  async next(): Promise<void> {
    const { viewer } = this;
    const ahead = this.here.find(token => token > viewer.current);
    const atFirst = viewer.current === 0 && this.here[0] === 0 && !viewer.isInTokens();
    if (ahead !== undefined || atFirst) {
      viewer.go(atFirst ? 0 : (ahead ?? 0), true);
      return;
    }
    const position = await this.nextRow();
    if (position === null || position === viewer.position) {
      viewer.go(this.here[0] ?? viewer.current, true);
    } else if (await viewer.goToRow(position, 0)) {
      viewer.go(this.here[0] ?? 0, true);
    }
  }

  private async nextRow(): Promise<number | null> {
    const { viewer } = this;
    if (viewer.handle !== null) {
      const answer = await viewer.ask(() => this.rows.problem(viewer.position, this.kind));
      if (answer !== null) {
        return answer;
      }
    }
    const known = this.rows.values.filter(row => hasProblem(row, this.kind)).map(row => row.position);
    const later = known.filter(position => position > viewer.position);
    return later.length > 0 ? Math.min(...later) : known.length > 0 ? Math.min(...known) : null;
  }
}
