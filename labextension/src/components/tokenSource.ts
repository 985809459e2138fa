/** From a row of a batch to the data row that a token came from, and back. */
import { object } from '../parse';
import { parseTokens } from '../wire';
import type { TokensPayload } from '../wire';
import { askKernel } from './askKernel';
import type { Trans } from './component';
import type { RowModel } from './rowModel';

/** A viewer as this needs it. */
export interface Sourced {
  readonly node: HTMLElement;
  readonly payload: TokensPayload;
  readonly model: RowModel;
  readonly position: number;
  readonly current: number;
  ask<T>(work: () => Promise<T>): Promise<T | null>;
  /** Show another payload, at the row that it begins with. */
  open(payload: TokensPayload): void;
  goToRow(position: number, token: number): Promise<boolean>;
  go(token: number, focus: boolean): void;
}

interface Place {
  readonly payload: TokensPayload;
  readonly position: number;
  readonly token: number;
}

const sourceAnswer = object({ payload: (value: unknown): TokensPayload => parseTokens(value) });

/** Data row of a token of a batch; null where the row is no batch's. */
export function dataRowOf(payload: TokensPayload, model: RowModel, token: number): number | null {
  const { documents, row } = model.row;
  const found = documents.find(item => token >= item.start && token < item.end);
  return found?.row ?? (payload.kind === 'batch' ? row : null);
}

export class Source {
  private pack: Place | null = null;

  constructor(
    private readonly viewer: Sourced,
    private readonly tell: (words: string) => void,
    private readonly trans: Trans,
    private readonly leave?: () => void
  ) {}

  /** Stay where one is: there is no way back. */
  forget(): void {
    this.pack = null;
  }

  async toggle(): Promise<void> {
    const { pack, viewer } = this;
    if (this.leave !== undefined) {
      this.leave();
      return;
    }
    if (pack !== null) {
      await this.back(pack);
      return;
    }
    const { payload, position, current: token } = viewer;
    const row = dataRowOf(payload, viewer.model, token);
    if (row === null) {
      this.tell(this.trans.__('This row is not part of a batch: there is no data row to go to.'));
      return;
    }
    const { handle } = payload;
    const at = viewer.model.row.tokens.position[token];
    const answer = await viewer.ask(() => askKernel(viewer.node, handle, { op: 'source', row }, sourceAnswer));
    if (answer !== null && viewer.payload === payload) {
      viewer.open(answer.payload);
      this.pack = { payload, position, token };
      viewer.go(Math.max(0, viewer.model.row.tokens.position.indexOf(at ?? 0)), true);
      this.tell(this.trans.__('Data row %1. Press p to go back to the batch.', row));
    }
  }

  private async back({ payload, position, token }: Place): Promise<void> {
    const { viewer } = this;
    viewer.open(payload);
    if (viewer.position !== position) {
      await viewer.goToRow(position, token);
    }
    viewer.go(viewer.position === position ? token : 0, true);
    this.tell(this.trans.__('Back in the batch: %1.', viewer.model.row.title));
  }
}
