/** What stands around the tokens: heading, notes, list of keys, and what is said aloud. */
import type { TokensPayload } from '../wire';
import { NoKernelError } from './askKernel';
import { h, liveRegion } from './component';
import type { Trans } from './component';
import type { RowModel } from './rowModel';
import { keyHelp } from './tokenFoot';
import { drawHeader } from './tokenHeader';
import { topNotes } from './tokenViewed';

export class Frame {
  readonly head = h('header', { class: 'wb-head' });
  readonly top = h('div', { class: 'wb-tops' });
  readonly help = h('div', { class: 'wb-help', hidden: true });
  readonly live: HTMLElement;
  private readonly voice = liveRegion();
  private asking = 0;

  constructor(private readonly trans: Trans) {
    this.live = this.voice.node;
  }

  draw(payload: TokensPayload, model: RowModel): void {
    drawHeader(this.head, payload, model, this.trans);
    this.top.replaceChildren(...topNotes(payload, model, this.trans));
  }

  toggleHelp(): void {
    this.help.hidden = !this.help.hidden;
    this.help.replaceChildren(...(this.help.hidden ? [] : [keyHelp(this.trans)]));
  }

  /** Whether an answer is waited for. */
  get isBusy(): boolean {
    return this.asking > 0;
  }

  /** Do what may ask the kernel; what goes wrong is told. `draw` shows whether an answer is waited for. */
  async ask<T>(work: () => Promise<T>, draw: () => void): Promise<T | null> {
    this.asking += 1;
    try {
      const working = work();
      draw();
      return await working;
    } catch (error) {
      this.tell(
        error instanceof NoKernelError
          ? this.trans.__('Only the rows saved in this output can be shown. Run the cell again to see others.')
          : String(error instanceof Error ? error.message : error)
      );
      return null;
    } finally {
      this.asking -= 1;
      draw();
    }
  }

  /** Say something that is seen too. */
  tell(words: string): void {
    this.live.classList.remove('wb-vh');
    this.voice.say(words);
  }

  /** Say which row is shown now. */
  announce({ row, length, trained }: RowModel): void {
    const problems = this.trans._n('%1 problem', '%1 problems', row.findings.length);
    this.live.classList.add('wb-vh');
    this.voice.say(this.trans.__('%1: %2 tokens, %3 trained, %4', row.title, length, trained, problems));
  }
}
