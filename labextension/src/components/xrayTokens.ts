/** The tokens of the rendered text, as the token-mask viewer draws them. */
import { visiblePieces } from './characters';
import { h } from './component';
import type { Trans } from './component';
import type { Lit, Target, XrayModel } from './xrayModel';
import { Linked } from './xrayText';
import type { LinkedPane, LinkedProps } from './xrayText';
import type { Window } from './xrayWindow';

class TokenPane extends Linked {
  constructor(props: LinkedProps, trans: Trans) {
    super('wb-tks', trans.__('Tokens'), props);
  }

  draw(model: XrayModel, window: Window): void {
    this.model = model;
    this.things = [];
    const nodes: HTMLElement[] = [];
    const starts = new Set(model.rendering?.turns.map(turn => model.tokenAt(turn.start)) ?? []);
    for (let token = window.from; token < window.to; token += 1) {
      if (token > window.from && starts.has(token)) {
        nodes.push(h('span', { class: 'wb-brk', 'aria-hidden': 'true' }));
      }
      const thing = this.made(model, token);
      this.things.push(thing);
      nodes.push(thing);
    }
    this.list.replaceChildren(...nodes);
    this.placeFocus();
  }

  light(lit: Lit | null, kept: Target | null): void {
    for (const thing of this.things) {
      const token = Number(thing.dataset['i']);
      thing.classList.toggle('wb-on', lit?.isTokenLit(token) ?? false);
      thing.setAttribute('aria-selected', String(kept?.kind === 'token' && kept.token === token));
    }
  }

  protected targetOf(thing: HTMLElement): Target {
    return { kind: 'token', token: Number(thing.dataset['i']) };
  }

  private made(model: XrayModel, token: number): HTMLElement {
    const tokens = model.rendering?.tokens;
    const [start, end] = model.tokenSpan(token);
    const bytes = tokens?.bytes[token] ?? null;
    const isSpecial = tokens?.special[token] === 1;
    const classes = [
      'wb-tok',
      tokens?.trained[token] === 1 ? 'wb-trained' : 'wb-masked',
      bytes !== null ? 'wb-bytes' : isSpecial ? 'wb-special' : '',
      model.isPrompt(start) ? 'wb-gen' : ''
    ];
    const thing = h('span', {
      class: classes.filter(name => name !== '').join(' '),
      role: 'option',
      tabindex: -1,
      'aria-selected': 'false',
      'data-i': token
    });
    if (bytes !== null) {
      thing.textContent = bytes;
    } else {
      this.fill(thing, model.slice(start, end));
    }
    return thing;
  }

  /** Mostly one text node: a leading space is drawn by the style sheet, a newline's token is its mark. */
  private fill(thing: HTMLElement, text: string): void {
    const pieces = visiblePieces(text);
    if (pieces.length === 2 && pieces[0]?.shown === '·' && pieces[1]?.kind === 'text') {
      thing.classList.add('wb-sp');
      thing.textContent = pieces[1].shown;
    } else if (pieces.length === 1 && pieces[0] !== undefined && pieces[0].kind !== 'hidden') {
      thing.textContent = pieces[0].shown;
      thing.classList.toggle('wb-ws', pieces[0].kind !== 'text');
    } else {
      for (const piece of pieces) {
        const name = piece.kind === 'hidden' ? 'wb-hid' : piece.kind === 'text' ? '' : 'wb-ws';
        thing.append(name === '' ? piece.shown : h('span', { class: name }, piece.shown));
      }
    }
  }
}

export function tokenPane(props: LinkedProps, trans: Trans): LinkedPane {
  return new TokenPane(props, trans);
}
