/** The rows of a payload, and those that the kernel gives; with the policy that is tried, where one is. */
import type { Parser } from '../parse';
import { copyAnswer, rowAnswer, rowsAnswer } from '../wire';
import type { KernelRequest, Row, RowAnswer, RowsAnswer, TokensPayload } from '../wire';
import { askKernel } from './askKernel';
import type { ProblemKind } from './problemKinds';
import { listOf } from './tokenList';

const MOST_ROWS_KEPT = 60;

export type Policy = NonNullable<TokensPayload['policy']>;
export type CopyFormat = 'text' | 'marked' | 'html' | 'axolotl';
export type SortBy = 'index' | 'trained' | 'longest';

export interface ListQuery {
  readonly sort: SortBy;
  readonly kind: ProblemKind | 'any' | null;
  readonly text: string;
}

export class TokenRows {
  private readonly kept = new Map<number, Row>();
  private tried: Policy | null = null;
  private triedCode: string | null = null;
  private turn = 0;
  /** What has been asked for and not been answered yet; the last wish counts. */
  private wish: { readonly policy: Policy | null } | null = null;

  constructor(
    private readonly node: HTMLElement,
    private payload: TokensPayload
  ) {
    this.keep(payload);
  }

  /** The policy that the rows are shown under. */
  get policy(): Policy | null {
    return (this.wish === null ? this.tried : this.wish.policy) ?? this.payload.policy;
  }

  /** Python that encodes with the policy that is tried; null where none is. */
  get code(): string | null {
    return this.triedCode;
  }

  get isTrying(): boolean {
    return this.tried !== null;
  }

  get values(): readonly Row[] {
    return [...this.kept.values()];
  }

  show(payload: TokensPayload): void {
    this.payload = payload;
    this.tried = null;
    this.triedCode = null;
    this.wish = null;
    this.kept.clear();
    this.keep(payload);
  }

  /** The row shown first; null where a payload has none. */
  first(): Row | null {
    return this.kept.get(this.payload.first) ?? this.payload.rows[0] ?? null;
  }

  known(position: number): Row | null {
    return this.kept.get(position) ?? null;
  }

  async at(position: number): Promise<Row | null> {
    return this.known(position) ?? this.take(position, await this.askRow(position, this.tried));
  }

  /** Show rows under another policy from now on; null, or the policy they are encoded with, ends that. */
  async try(position: number, policy: Policy | null): Promise<Row | null> {
    const own = this.payload.policy;
    const isOwn =
      policy === null || (own !== null && policy.train_on === own.train_on && policy.train_on_eos === own.train_on_eos);
    const wanted = isOwn ? null : policy;
    this.turn += 1;
    const { turn } = this;
    this.wish = { policy: wanted };
    let answer: RowAnswer;
    try {
      answer = await this.askRow(position, wanted);
    } finally {
      if (turn === this.turn) {
        this.wish = null;
      }
    }
    if (answer.row === null || turn !== this.turn) {
      return null;
    }
    this.tried = wanted;
    this.triedCode = wanted === null ? null : answer.code;
    this.kept.clear();
    if (wanted === null) {
      this.keep(this.payload);
    }
    return this.take(position, answer);
  }

  find(text: string, after: number, back: boolean): Promise<RowAnswer> {
    return this.ask({ op: 'find', text, after, ...(back ? { back } : {}) }, rowAnswer);
  }

  async problem(after: number, kind: ProblemKind | null): Promise<number | null> {
    const answer = await this.ask({ op: 'problem', after, ...(kind === null ? {} : { kind }) }, rowAnswer);
    return answer.position;
  }

  /** A page of the list; without a kernel, of the rows that are here. */
  async page(start: number, count: number, query: ListQuery): Promise<RowsAnswer> {
    if (this.payload.handle === null) {
      return listOf(this.values, query, start, count);
    }
    return this.ask({ op: 'rows', start, count, ...query }, rowsAnswer);
  }

  async copy(position: number, format: CopyFormat): Promise<string> {
    const policy = this.tried === null ? {} : { policy: this.tried };
    return (await this.ask({ op: 'copy', position, format, ...policy }, copyAnswer)).text;
  }

  private keep(payload: TokensPayload): void {
    payload.rows.forEach(row => this.kept.set(row.position, row));
  }

  private take(position: number, answer: RowAnswer): Row | null {
    if (answer.row !== null) {
      this.kept.set(position, answer.row);
      const oldest = this.kept.keys().next().value;
      if (this.kept.size > MOST_ROWS_KEPT && oldest !== undefined) {
        this.kept.delete(oldest);
      }
    }
    return answer.row;
  }

  private askRow(position: number, policy: Policy | null): Promise<RowAnswer> {
    return this.ask({ op: 'row', position, ...(policy === null ? {} : { policy }) }, rowAnswer);
  }

  private ask<T>(message: KernelRequest, parse: Parser<T>): Promise<T> {
    return askKernel(this.node, this.payload.handle, message, parse);
  }
}
