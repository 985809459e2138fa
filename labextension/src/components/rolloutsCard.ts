/**
 * The rollouts card: a prompt, what the model wrote for it, what each was rewarded with, and what is learned from it.
 *
 * A table of completions, the tokens of the open one. Prompts that are not in the output are asked of the kernel.
 */
import { groupAnswer } from '../wire';
import type { RolloutGroup, RolloutsPayload } from '../wire';
import { askKernel } from './askKernel';
import { codeLine } from './codeLine';
import { h, on } from './component';
import type { Component, Trans } from './component';
import { findingCard } from './findingCard';
import { PositionBrowser } from './positionBrowser';
import type { Found } from './positionBrowser';
import { rowModel } from './rowModel';
import { openCompletion } from './rolloutsOpen';
import type { OpenCompletion } from './rolloutsOpen';
import { rolloutsTable } from './rolloutsTable';
import type { RolloutsTable } from './rolloutsTable';
import {
  drawRolloutsHeader,
  groupWords,
  rolloutsBrowserWords,
  rolloutsKeyHelp,
  rolloutsLegend,
  signed
} from './rolloutsWords';
import { stepBar } from './stepBar';
import { tokenGrid } from './tokenGrid';
import { leaveTo, obeyKeys } from './tokenKeys';

/** For the tokens of the prompt. */
const PROMPT_NODES = 110;
type Order = 'advantage' | 'generated';

export interface RolloutsCardProps {
  readonly payload: RolloutsPayload;
  readonly spaces?: boolean;
}

function orderOf(group: RolloutGroup, by: Order): readonly number[] {
  const places = group.completions.map((_, place) => place);
  const value = (place: number): number => group.completions[place]?.advantage ?? -Infinity;
  return by === 'generated' ? places : places.sort((a, b) => value(b) - value(a));
}

class RolloutsCard {
  readonly node = h('section', { class: 'wb-card wb-tokens wb-rollouts' });
  private readonly listeners = new AbortController();
  private readonly head = h('header', { class: 'wb-head' });
  private readonly groupHead = h('div', { class: 'wb-parthead' });
  private readonly top = h('div', { class: 'wb-tops' });
  private readonly body = h('div', { class: 'wb-rollbody' });
  private readonly help: HTMLElement;
  private readonly sorts: Readonly<Record<Order, HTMLButtonElement>>;
  private readonly browser: PositionBrowser<RolloutGroup>;
  private readonly prompt;
  private readonly bar;
  private readonly code;
  private table: RolloutsTable | null = null;
  private opened: OpenCompletion | null = null;
  private payload: RolloutsPayload;
  private sort: Order = 'advantage';
  private order: readonly number[];
  private open = 0;
  private inspected = true;

  constructor(
    props: RolloutsCardProps,
    private readonly trans: Trans
  ) {
    this.payload = props.payload;
    this.browser = this.browse(props.payload);
    this.order = orderOf(this.group, this.sort);
    const nothing = (): void => undefined;
    const model = rowModel(this.group.prompt);
    this.prompt = tokenGrid(
      { model, onCurrent: nothing, onHover: nothing, onView: nothing, nodes: () => PROMPT_NODES },
      trans
    );
    this.sorts = this.sortButtons();
    const sorts = h('span', { class: 'wb-seg', role: 'group', 'aria-label': trans.__('Order') });
    sorts.append(this.sorts.advantage, this.sorts.generated);
    this.bar = stepBar(
      {
        words: {
          one: trans.__('Prompt'),
          previous: trans.__('Previous prompt (k)'),
          next: trans.__('Next prompt (j)')
        },
        more: [sorts],
        step: by => this.browser.step(by),
        goTo: position => void this.browser.goTo(position),
        nextProblem: () => void this.browser.nextProblem(),
        keys: () => this.toggleHelp()
      },
      trans
    );
    this.code = codeLine({ code: this.payload.code }, trans);
    this.help = h('div', { class: 'wb-help', hidden: true }, rolloutsKeyHelp(trans));
    const prompt = h('section', { class: 'wb-part wb-part-prompt' }, this.groupHead, this.prompt.node);
    this.node.append(this.head, this.bar.node, this.top, prompt, this.body, this.help, rolloutsLegend(trans));
    this.node.append(this.code.node, this.browser.live.node);
    this.node.dataset['colour'] = 'advantage';
    this.node.dataset['ws'] = (props.spaces ?? true) ? 'on' : 'off';
    this.node.setAttribute('aria-label', trans.__('Rollouts'));
    this.listen(this.prompt.node, () => this.leave());
    this.draw();
  }

  dispose(): void {
    this.listeners.abort();
    [this.prompt, this.bar, this.code, this.table, this.opened].forEach(part => part?.dispose());
  }

  update(payload: RolloutsPayload): void {
    this.payload = payload;
    this.browser.restart(payload.groups, payload.first);
    this.show();
  }

  private get group(): RolloutGroup {
    return this.browser.item;
  }

  private browse(payload: RolloutsPayload): PositionBrowser<RolloutGroup> {
    const host = {
      words: rolloutsBrowserWords(this.trans),
      count: () => this.payload.group_count,
      ask: (question: 'item' | 'problem', position: number) => this.ask(question, position),
      arrive: (group: RolloutGroup) => this.arrive(group),
      drawBar: () => this.drawBar()
    };
    return new PositionBrowser(host, payload.groups, payload.first);
  }

  private async ask(question: 'item' | 'problem', position: number): Promise<Found<RolloutGroup>> {
    const asked = question === 'item' ? { op: 'group', position } : { op: 'group_problem', after: position };
    const answer = await askKernel(this.node, this.payload.handle, asked, groupAnswer);
    return { item: answer.group, position: answer.position };
  }

  private sortButtons(): Readonly<Record<Order, HTMLButtonElement>> {
    const button = (by: Order, words: string): HTMLButtonElement => {
      const node = h('button', { type: 'button' }, words);
      on(node, 'click', () => this.setSort(by), this.listeners.signal);
      return node;
    };
    return {
      advantage: button('advantage', this.trans.__('By advantage')),
      generated: button('generated', this.trans.__('As generated'))
    };
  }

  private show(): void {
    this.order = orderOf(this.group, this.sort);
    this.open = 0;
    this.prompt.update(rowModel(this.group.prompt));
    this.draw();
  }

  private draw(): void {
    const { group, trans } = this;
    drawRolloutsHeader(this.head, this.payload, trans);
    this.groupHead.replaceChildren(
      h('h4', { class: 'wb-h' }, group.title),
      h('span', { class: 'wb-sub' }, groupWords(group, trans))
    );
    this.prompt.node.setAttribute('aria-label', trans.__('Tokens of the prompt'));
    this.top.replaceChildren(...group.findings.map(item => findingCard(item, trans)));
    this.code.update(this.payload.code);
    const none = group.completions.length === 0;
    this.sorts.advantage.parentElement?.toggleAttribute('hidden', none);
    this.drawBody();
    this.drawBar();
  }

  private drawBar(): void {
    this.bar.update({ position: this.group.position, count: this.payload.group_count, busy: this.browser.busy });
    const name = this.sort;
    this.sorts.advantage.setAttribute('aria-pressed', String(name === 'advantage'));
    this.sorts.generated.setAttribute('aria-pressed', String(name === 'generated'));
  }

  private drawBody(): void {
    const completion = this.group.completions[this.order[this.open] ?? -1];
    if (completion === undefined) {
      const words = this.trans.__('Nothing has been generated yet: train, then look at tap.batches.');
      this.body.replaceChildren(h('p', { class: 'wb-more wb-sub' }, words));
      return;
    }
    const state = {
      group: this.group,
      rewardNames: this.payload.reward_functions,
      order: this.order,
      open: this.open
    };
    if (this.table === null || this.opened === null) {
      this.table = rolloutsTable({ state, open: place => this.openAt(place, true) }, this.trans);
      this.opened = openCompletion(completion, () => this.payload, this.trans);
      this.listen(this.table.node, () => this.leave());
      this.listen(this.opened.grid.node, () => this.table?.focus());
    } else {
      this.table.update(state);
      this.opened.show(completion);
    }
    if (this.table.node.parentElement !== this.body) {
      this.body.replaceChildren(this.table.node, this.opened.node);
    }
  }

  private openAt(place: number, focusTable: boolean): void {
    const wanted = Math.max(0, Math.min(this.order.length - 1, place));
    const inTokens = this.opened?.grid.node.contains(document.activeElement) === true;
    this.open = wanted;
    this.drawBody();
    if (inTokens && !focusTable) {
      this.opened?.grid.focus();
    } else {
      this.table?.focus();
    }
    const completion = this.group.completions[this.order[wanted] ?? -1];
    if (completion !== undefined) {
      this.browser.say(
        this.trans.__('Completion %1, advantage %2', completion.index, signed(completion.advantage)),
        false
      );
    }
  }

  private setSort(by: Order): void {
    const index = this.order[this.open];
    const hadFocus = this.table?.node.contains(document.activeElement) === true;
    this.sort = by;
    this.order = orderOf(this.group, by);
    this.open = Math.max(0, this.order.indexOf(index ?? -1));
    this.drawBody();
    this.drawBar();
    if (hadFocus) {
      this.table?.focus();
    }
  }

  private arrive(group: RolloutGroup): string {
    const inside = this.body.contains(document.activeElement);
    this.show();
    if (inside) {
      this.table?.focus();
    }
    return `${group.title}: ${groupWords(group, this.trans)}`;
  }

  private toggleHelp(): void {
    this.help.hidden = !this.help.hidden;
  }

  private leave(): void {
    leaveTo(this.node);
  }

  /** One step among the tokens; from the list the first step enters them. */
  private stepToken(by: 1 | -1): void {
    const grid = this.opened?.grid;
    if (grid?.node.contains(document.activeElement) === true) {
      grid.step(by);
    } else if (this.prompt.node.contains(document.activeElement)) {
      this.prompt.step(by);
    } else {
      grid?.focus();
    }
  }

  private toEnd(last: boolean): void {
    const { opened } = this;
    if (opened?.grid.node.contains(document.activeElement) === true) {
      opened.grid.go(last ? opened.model.length - 1 : 0, true);
    } else if (this.prompt.node.contains(document.activeElement)) {
      this.prompt.go(last ? this.group.prompt.tokens.id.length - 1 : 0, true);
    } else {
      this.openAt(last ? this.order.length - 1 : 0, true);
    }
  }

  private listen(node: HTMLElement, escape: () => void): void {
    const actions = {
      ArrowDown: () => this.openAt(this.open + 1, false),
      ArrowUp: () => this.openAt(this.open - 1, false),
      ArrowRight: () => this.stepToken(1),
      ArrowLeft: () => this.stepToken(-1),
      Home: () => this.toEnd(false),
      End: () => this.toEnd(true),
      Enter: () => this.opened?.grid.focus(),
      j: () => this.browser.step(1),
      k: () => this.browser.step(-1),
      n: () => void this.browser.nextProblem(),
      s: () => this.setSort(this.sort === 'advantage' ? 'generated' : 'advantage'),
      w: () => {
        this.node.dataset['ws'] = this.node.dataset['ws'] === 'on' ? 'off' : 'on';
      },
      i: () => {
        this.inspected = !this.inspected;
        this.opened?.inspector(this.inspected);
      },
      '?': () => this.toggleHelp(),
      Escape: escape
    };
    obeyKeys(node, actions, this.listeners.signal);
  }
}

export function rolloutsCard(props: RolloutsCardProps, trans: Trans): Component<RolloutsPayload> {
  const card = new RolloutsCard(props, trans);
  return {
    node: card.node,
    update: payload => card.update(payload),
    dispose: () => card.dispose()
  };
}
