/**
 * The pair card: what two answers to one prompt share, where they part, and what of each is trained.
 *
 * Three token grids, one inspector. Pairs that are not in the output are asked of the kernel.
 */
import { pairAnswer } from '../wire';
import type { Pair, PairsPayload } from '../wire';
import { askKernel } from './askKernel';
import { codeLine } from './codeLine';
import { h } from './component';
import type { Component, Trans } from './component';
import { findingCard } from './findingCard';
import { drawPairHeader, pairBrowserWords, pairKeyHelp, pairLegend } from './pairHeader';
import { pairPart, PARTS } from './pairSide';
import type { PairPart, PartName } from './pairSide';
import { PositionBrowser } from './positionBrowser';
import type { Found } from './positionBrowser';
import { stepBar } from './stepBar';
import { differenceLine } from './tokenHeader';
import { shareNodes } from './tokenBudget';
import { tokenInspector } from './tokenInspector';
import { leaveTo, obeyKeys } from './tokenKeys';

/** Nodes for the tokens of all parts; the rest of a thousand is for the card around them. */
const NODES = 680;
/** About as many as a token, and a part without tokens, need. */
const NODES_PER_TOKEN = 3;
const NODES_PER_PART = 40;

export interface PairCardProps {
  readonly payload: PairsPayload;
  /** Whether spaces are marked at first; yes unless said otherwise. */
  readonly spaces?: boolean;
}

class PairCard {
  readonly node = h('section', { class: 'wb-card wb-tokens wb-pairs' });
  private readonly listeners = new AbortController();
  private readonly head = h('header', { class: 'wb-head' });
  private readonly top = h('div', { class: 'wb-tops' });
  private readonly main = h('div', { class: 'wb-main' });
  private readonly help: HTMLElement;
  private readonly browser: PositionBrowser<Pair>;
  private readonly parts: Readonly<Record<PartName, PairPart>>;
  private readonly inspector;
  private readonly bar;
  private readonly code;
  private payload: PairsPayload;
  private active: PartName;

  constructor(
    props: PairCardProps,
    private readonly trans: Trans
  ) {
    this.payload = props.payload;
    this.browser = this.browse(props.payload);
    this.active = this.pair.first_token === null ? 'prompt' : 'chosen';
    this.inspector = tokenInspector(trans);
    const part = (name: PartName): PairPart =>
      pairPart(
        name,
        {
          pair: this.pair,
          nodes: at => this.nodesOf(at),
          onCurrent: (at, token) => this.inspect(at, token),
          onHover: (at, token) => this.hover(at, token),
          toParting: () => this.toParting()
        },
        trans
      );
    this.parts = { prompt: part('prompt'), chosen: part('chosen'), rejected: part('rejected') };
    this.bar = stepBar(
      {
        words: { one: trans.__('Pair'), previous: trans.__('Previous pair (k)'), next: trans.__('Next pair (j)') },
        more: [],
        step: by => this.browser.step(by),
        goTo: position => void this.browser.goTo(position),
        nextProblem: () => void this.browser.nextProblem(),
        keys: () => this.toggleHelp()
      },
      trans
    );
    this.code = codeLine({ code: this.pairCode() }, trans);
    this.help = h('div', { class: 'wb-help', hidden: true }, pairKeyHelp(trans));
    const sides = h('div', { class: 'wb-sides' }, this.parts.chosen.node, this.parts.rejected.node);
    this.main.append(h('div', { class: 'wb-pairflow' }, this.parts.prompt.node, sides), this.inspector.node);
    this.node.append(this.head, this.bar.node, this.top, this.main, this.help, pairLegend(trans));
    this.node.append(this.code.node, this.browser.live.node);
    this.node.dataset['colour'] = 'trained';
    this.node.dataset['ws'] = (props.spaces ?? true) ? 'on' : 'off';
    this.node.setAttribute('aria-label', trans.__('Pair of answers'));
    this.listen();
    this.draw();
    this.startAtParting();
  }

  dispose(): void {
    this.listeners.abort();
    PARTS.forEach(name => this.parts[name].dispose());
    [this.inspector, this.bar, this.code].forEach(part => part.dispose());
  }

  update(payload: PairsPayload): void {
    this.payload = payload;
    this.browser.restart(payload.pairs, payload.first);
    this.show();
  }

  private get pair(): Pair {
    return this.browser.item;
  }

  private browse(payload: PairsPayload): PositionBrowser<Pair> {
    const host = {
      words: pairBrowserWords(this.trans),
      count: () => this.payload.pair_count,
      ask: (question: 'item' | 'problem', position: number) => this.ask(question, position),
      arrive: (pair: Pair) => this.arrive(pair),
      drawBar: () => this.drawBar()
    };
    return new PositionBrowser(host, payload.pairs, payload.first);
  }

  private async ask(question: 'item' | 'problem', position: number): Promise<Found<Pair>> {
    const asked = question === 'item' ? { op: 'pair', position } : { op: 'pair_problem', after: position };
    const answer = await askKernel(this.node, this.payload.handle, asked, pairAnswer);
    return { item: answer.pair, position: answer.position };
  }

  /** What a short prompt does not need goes to the sides. */
  private nodesOf(name: PartName): number {
    const { prompt, chosen, rejected } = this.pair;
    const needs = [prompt, chosen.row, rejected.row].map(
      row => NODES_PER_PART + NODES_PER_TOKEN * row.tokens.id.length
    );
    return shareNodes(NODES, needs)[PARTS.indexOf(name)] ?? 0;
  }

  /** The payload's code for the pair that is shown now; a batch is shown whole, its code stays. */
  private pairCode(): string {
    const { code, kind } = this.payload;
    const { row } = this.pair;
    if (kind === 'batch' || row === null || /^\w+$/.test(code)) {
      return kind === 'batch' || row === null ? code : `${code}[${row}]`;
    }
    return code.replace(/\[\d+\](?=[^[\]]*$)/, `[${row}]`);
  }

  private show(): void {
    PARTS.forEach(name => this.parts[name].show(this.pair));
    this.draw();
    this.startAtParting();
  }

  private draw(): void {
    drawPairHeader(this.head, this.payload, this.pair, this.trans);
    const difference = differenceLine(this.payload, this.trans);
    this.top.replaceChildren(
      ...(difference === null ? [] : [difference]),
      ...this.pair.findings.map(item => findingCard(item, this.trans, item.row === this.pair.row))
    );
    this.code.update(this.pairCode());
    this.drawBar();
  }

  private drawBar(): void {
    this.bar.update({ position: this.pair.position, count: this.payload.pair_count, busy: this.browser.busy });
  }

  /** The inspector opens on what matters: the first token that differs. */
  private startAtParting(): void {
    PARTS.forEach(name => this.parts[name].grid.go(this.parts[name].model.parting ?? 0, false));
    const name = this.pair.first_token === null ? 'prompt' : this.pair.chosen.first === null ? 'rejected' : 'chosen';
    this.inspect(name, this.parts[name].grid.current);
  }

  private inspect(name: PartName, token: number): void {
    this.active = name;
    PARTS.forEach(other => this.parts[other].node.classList.toggle('wb-active', other === name));
    this.inspector.update({ model: this.parts[name].model, token, payload: this.payload });
  }

  private hover(name: PartName, token: number | null): void {
    const shown = token === null ? this.active : name;
    const part = this.parts[shown];
    this.inspector.update({ model: part.model, token: token ?? part.grid.current, payload: this.payload });
  }

  private toParting(): void {
    const side = this.active === 'rejected' ? 'rejected' : 'chosen';
    const name = this.pair[side].first !== null ? side : side === 'chosen' ? 'rejected' : 'chosen';
    const { parting } = this.parts[name].model;
    if (parting !== null) {
      this.parts[name].grid.go(parting, true);
    } else {
      this.browser.say(this.trans.__('Chosen and rejected do not differ.'), true);
    }
  }

  private toPart(by: 1 | -1): void {
    const filled = PARTS.filter(name => this.parts[name].model.length > 0);
    const at = filled.indexOf(this.active);
    const name = filled[(at + by + filled.length) % filled.length];
    if (name !== undefined) {
      this.parts[name].grid.go(this.parts[name].grid.current, true);
      this.browser.say(name === 'prompt' ? this.trans.__('shared prompt') : name, false);
    }
  }

  private toBlock(by: 1 | -1): void {
    const { grid, model } = this.parts[this.active];
    const index = model.blockOf(grid.current);
    const start = model.blocks[index]?.start ?? 0;
    const target = by < 0 && grid.current > start ? index : index + by;
    const block = model.blocks[Math.max(0, Math.min(model.blocks.length - 1, target))];
    if (block !== undefined) {
      grid.go(block.start, true);
    }
  }

  private arrive(pair: Pair): string {
    const inTokens = this.main.contains(document.activeElement);
    this.show();
    if (inTokens) {
      this.parts[this.active].grid.focus();
    }
    return `${pair.title}: ${this.trans._n('%1 problem', '%1 problems', pair.findings.length)}`;
  }

  private toggleHelp(): void {
    this.help.hidden = !this.help.hidden;
  }

  private listen(): void {
    const grid = (): PairPart['grid'] => this.parts[this.active].grid;
    const actions = {
      ArrowRight: (shift: boolean) => (shift ? this.toBlock(1) : grid().step(1)),
      ArrowLeft: (shift: boolean) => (shift ? this.toBlock(-1) : grid().step(-1)),
      Home: () => grid().go(0, true),
      End: () => grid().go(this.parts[this.active].model.length - 1, true),
      ArrowDown: () => this.toPart(1),
      ArrowUp: () => this.toPart(-1),
      d: () => this.toParting(),
      j: () => this.browser.step(1),
      k: () => this.browser.step(-1),
      n: () => void this.browser.nextProblem(),
      w: () => {
        this.node.dataset['ws'] = this.node.dataset['ws'] === 'on' ? 'off' : 'on';
      },
      i: () => this.main.classList.toggle('wb-noinsp'),
      '?': () => this.toggleHelp(),
      Escape: () => leaveTo(this.node)
    };
    PARTS.forEach(name => {
      const { node } = this.parts[name].grid;
      node.addEventListener('focusin', () => this.follow(name), { signal: this.listeners.signal });
      obeyKeys(node, actions, this.listeners.signal);
    });
  }

  /** The part that has the focus is the one the inspector speaks of. */
  private follow(name: PartName): void {
    if (this.active !== name) {
      this.inspect(name, this.parts[name].grid.current);
    }
  }
}

export function pairCard(props: PairCardProps, trans: Trans): Component<PairsPayload> {
  const card = new PairCard(props, trans);
  return {
    node: card.node,
    update: payload => card.update(payload),
    dispose: () => card.dispose()
  };
}
