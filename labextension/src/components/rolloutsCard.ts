/**
 * The rollouts card: a prompt, what the model wrote for it, what each was rewarded with, and what is learned from it.
 *
 * A table of completions, the tokens of the open one. Prompts that are not in the output are asked of the kernel.
 */
import { groupAnswer } from '../wire';
import type { RolloutGroup, RolloutsPayload } from '../wire';
import { askKernel, NoKernelError } from './askKernel';
import { codeLine } from './codeLine';
import { h, liveRegion, on } from './component';
import type { Component, Trans } from './component';
import { findingCard } from './findingCard';
import { rowModel } from './rowModel';
import { openCompletion } from './rolloutsOpen';
import type { OpenCompletion } from './rolloutsOpen';
import { rolloutsTable } from './rolloutsTable';
import type { RolloutsTable } from './rolloutsTable';
import { drawRolloutsHeader, groupWords, rolloutsKeyHelp, rolloutsLegend, signed } from './rolloutsWords';
import { stepBar } from './stepBar';
import { tokenGrid } from './tokenGrid';
import { leaveTo, obeyKeys } from './tokenKeys';

const MOST_KEPT = 60;
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
  private readonly live = liveRegion();
  private readonly head = h('header', { class: 'wb-head' });
  private readonly groupHead = h('div', { class: 'wb-parthead' });
  private readonly top = h('div', { class: 'wb-tops' });
  private readonly body = h('div', { class: 'wb-rollbody' });
  private readonly help: HTMLElement;
  private readonly sorts: Readonly<Record<Order, HTMLButtonElement>>;
  private readonly groups = new Map<number, RolloutGroup>();
  private readonly prompt;
  private readonly bar;
  private readonly code;
  private table: RolloutsTable | null = null;
  private opened: OpenCompletion | null = null;
  private payload: RolloutsPayload;
  private group: RolloutGroup;
  private sort: Order = 'advantage';
  private order: readonly number[];
  private open = 0;
  private inspected = true;
  private busy = false;

  constructor(
    props: RolloutsCardProps,
    private readonly trans: Trans
  ) {
    this.payload = props.payload;
    this.group = this.firstGroup(props.payload);
    this.order = orderOf(this.group, this.sort);
    const nothing = (): void => undefined;
    const model = rowModel(this.group.prompt);
    this.prompt = tokenGrid({ model, onCurrent: nothing, onHover: nothing, onView: nothing }, trans);
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
        step: by => void this.goTo(this.group.position + by),
        goTo: position => void this.goTo(position),
        nextProblem: () => void this.nextProblem(),
        keys: () => this.toggleHelp()
      },
      trans
    );
    this.code = codeLine({ code: this.payload.code }, trans);
    this.help = h('div', { class: 'wb-help', hidden: true }, rolloutsKeyHelp(trans));
    const prompt = h('section', { class: 'wb-part wb-part-prompt' }, this.groupHead, this.prompt.node);
    this.node.append(this.head, this.bar.node, this.top, prompt, this.body, this.help, rolloutsLegend(trans));
    this.node.append(this.code.node, this.live.node);
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
    this.groups.clear();
    this.show(this.firstGroup(payload));
  }

  private firstGroup(payload: RolloutsPayload): RolloutGroup {
    payload.groups.forEach(group => this.groups.set(group.position, group));
    const first = this.groups.get(payload.first) ?? payload.groups[0];
    if (first === undefined) {
      throw new Error(this.trans.__('the payload has no prompt'));
    }
    return first;
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

  private show(group: RolloutGroup): void {
    this.group = group;
    this.order = orderOf(group, this.sort);
    this.open = 0;
    this.prompt.update(rowModel(group.prompt));
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
    this.bar.update({ position: this.group.position, count: this.payload.group_count, busy: this.busy });
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
      this.say(this.trans.__('Completion %1, advantage %2', completion.index, signed(completion.advantage)), false);
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

  private say(text: string, visible: boolean): void {
    this.live.node.classList.toggle('wb-vh', !visible);
    this.live.say(text);
  }

  private async ask<T>(work: () => Promise<T>): Promise<T | null> {
    this.busy = true;
    this.drawBar();
    try {
      return await work();
    } catch (error) {
      const words =
        error instanceof NoKernelError
          ? this.trans.__('Only the prompts saved in this output can be shown. Run the cell again to see others.')
          : String(error instanceof Error ? error.message : error);
      this.say(words, true);
      return null;
    } finally {
      this.busy = false;
      this.drawBar();
    }
  }

  private async goTo(position: number): Promise<void> {
    const outside = !(position >= 0 && position < this.payload.group_count);
    if (this.busy || position === this.group.position || outside) {
      this.drawBar();
      return;
    }
    const inside = this.body.contains(document.activeElement);
    const group = this.groups.get(position) ?? (await this.fetch(position));
    if (group === null) {
      return;
    }
    this.show(group);
    if (inside) {
      this.table?.focus();
    }
    this.say(`${group.title}: ${groupWords(group, this.trans)}`, false);
  }

  private async fetch(position: number): Promise<RolloutGroup | null> {
    const { handle } = this.payload;
    const answer = await this.ask(() => askKernel(this.node, handle, { op: 'group', position }, groupAnswer));
    const group = answer?.group ?? null;
    if (group !== null) {
      this.groups.set(position, group);
      const oldest = this.groups.keys().next().value;
      if (this.groups.size > MOST_KEPT && oldest !== undefined) {
        this.groups.delete(oldest);
      }
    }
    return group;
  }

  private async nextProblem(): Promise<void> {
    const { handle } = this.payload;
    const asked = { op: 'group_problem', after: this.group.position };
    const answer = await this.ask(() => askKernel(this.node, handle, asked, groupAnswer));
    const position = answer?.position ?? null;
    if (answer !== null && position === null) {
      this.say(this.trans.__('No prompt has a problem.'), true);
    } else if (position !== null && position === this.group.position) {
      this.say(this.trans.__('This is the only prompt with a problem.'), true);
    } else if (position !== null) {
      await this.goTo(position);
    }
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
      j: () => void this.goTo(this.group.position + 1),
      k: () => void this.goTo(this.group.position - 1),
      n: () => void this.nextProblem(),
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
