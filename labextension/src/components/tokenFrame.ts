/** What stands around the tokens: heading, notes, list of keys, and what is said aloud. */
import type { TokensPayload } from '../wire';
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
