/**
 * The fit bar: will it fit, what takes the room, and what would make it fit.
 *
 * Everything a slider changes is computed here, in the frame it moves in; no kernel is asked. What Python found, by formula
 * or by trace, is shown until something is moved.
 */
import { choiceOf, codeOf } from '../memory/fitChoice';
import type { FitChoice } from '../memory/fitChoice';
import { estimatorOf } from '../memory/fitEstimate';
import type { Estimator } from '../memory/fitEstimate';
import { kindsOf, shownBytes, verdictOf } from '../memory/fitModel';
import type { Breakdown, FitWord, Span } from '../memory/fitModel';
import { remediesOf, togetherOf } from '../memory/remedies';
import type { FitCard, FitPayload, FitTried } from '../wire/fit';
import { codeLine } from './codeLine';
import { h, liveRegion, on } from './component';
import type { Component, Trans } from './component';
import { fitControls } from './fitBarControls';
import type { Controls } from './fitBarControls';
import { fitFigures, verdictBadge } from './fitBarFigures';
import type { Figures } from './fitBarFigures';
import { fitKeys } from './fitBarKeys';
import type { Keys } from './fitBarKeys';
import { errorBadge, fitMeasured } from './fitBarMeasured';
import { fitRemedies } from './fitBarRemedies';
import type { Remedies } from './fitBarRemedies';
import { fitScale, fitStack } from './fitBarStack';
import { stepChart } from './fitBarStep';
import { size, unitOf, verdictWord } from './fitBarWords';
import type { Unit } from './fitBarWords';
import { obeyKeys, leaveTo } from './tokenKeys';

/** How far the bar reaches beyond the card, and beyond what is shown. */
const BEYOND_CARD = 1.18;
const BEYOND_SHOWN = 1.04;

/** The closed form on what is tried, with more or less beside the allocator. */
type Ask = (tried: FitTried, beside?: Span) => Estimator;

export interface FitBarProps {
  readonly payload: FitPayload;
  /** Answers what a choice needs; the closed form unless a test says otherwise. */
  readonly estimator?: Ask;
}

/** What can be tried, and what it is tried with. */
interface Trial {
  readonly tried: FitTried;
  readonly estimate: Estimator;
  readonly start: FitChoice;
  readonly controls: Controls;
  readonly remedies: Remedies;
}

const roomOf = (card: FitCard | null): number | null => (card === null ? null : Math.max(0, card.bytes - card.held));

class FitBar {
  readonly node = h('section', { class: 'wb-card wb-fit' });
  private readonly listeners = new AbortController();
  private readonly live = liveRegion();
  private readonly verdict = h('span', { class: 'wb-verdict' });
  private readonly notice = h('p', { class: 'wb-fitnote', hidden: true });
  private readonly unit: Unit;
  private readonly figures: Figures;
  private readonly stack;
  private readonly scale;
  private readonly keys: Keys;
  private readonly step;
  private readonly code;
  private readonly trial: Trial | null;
  private choice: FitChoice | null;
  private made: Breakdown;
  private card: FitCard | null;
  private word: FitWord | null | undefined;
  private frame = 0;
  /** While a control moves, what takes longer than a frame waits. */
  private isMoving = false;

  constructor(
    private readonly payload: FitPayload,
    private readonly trans: Trans,
    estimator: Ask
  ) {
    const { signal } = this.listeners;
    this.made = payload.made;
    this.card = payload.card;
    const largest = Math.max(shownBytes(payload.made), roomOf(payload.card) ?? 0);
    const unit = (this.unit = unitOf(largest, payload.of));
    this.figures = fitFigures(payload.of, unit, trans);
    this.stack = fitStack({ label: trans.__('Memory by kind'), each: 1.3 }, unit, trans);
    this.scale = fitScale(unit, trans);
    const box = h('div', { class: 'wb-fitbox' });
    this.keys = fitKeys(box, unit, trans, signal);
    if (payload.measured === null) {
      const bar = h('div', { class: 'wb-stackbox' }, this.stack.node, this.scale.node);
      box.append(this.figures.node, bar);
    }
    box.append(...this.keys.nodes);
    this.step = stepChart(unit, trans);
    this.trial = payload.measured === null ? this.makeTrial(estimator, unit) : null;
    this.choice = this.trial?.start ?? null;
    this.code = codeLine({ code: this.codeNow() }, trans);
    this.node.append(this.header());
    this.node.append(...this.measuredParts(), box);
    if (this.trial !== null) {
      this.node.append(this.notice, h('div', { class: 'wb-cols' }, this.trial.controls.node, this.trial.remedies.node));
    } else if (payload.measured === null && payload.untried !== '') {
      this.notice.textContent = trans.__('No other setting can be tried here: %1', payload.untried);
      this.notice.hidden = false;
      this.node.append(this.notice);
    }
    this.node.append(this.step.node, ...this.assumptions(), this.code.node, this.live.node);
    this.node.setAttribute('aria-label', payload.title);
    obeyKeys(this.node, { Escape: () => leaveTo(this.node) }, signal);
    this.draw();
  }

  dispose(): void {
    cancelAnimationFrame(this.frame);
    this.listeners.abort();
    this.step.dispose();
    this.code.dispose();
  }

  private makeTrial(estimator: Ask, unit: Unit): Trial | null {
    const { tried } = this.payload;
    if (tried === null) {
      return null;
    }
    const { signal } = this.listeners;
    const start = choiceOf(tried);
    let estimate: Estimator;
    try {
      const { low, high } = estimator(tried)(start).context;
      const seen = this.payload.made.context;
      estimate = estimator(tried, { low: seen.low - low, high: seen.high - high });
    } catch {
      return null;
    }
    const controls = fitControls(
      { tried, onMove: change => this.move(change), onSettle: () => this.tell() },
      this.trans,
      signal
    );
    const isFormula = this.payload.kind === 'analytic';
    const remedies = fitRemedies({ tried, unit, isFormula }, choice => this.apply(choice), this.trans, signal);
    return { tried, estimate, start, controls, remedies };
  }

  private header(): HTMLElement {
    const { payload, trans } = this;
    const kinds = { analytic: trans.__('closed form'), traced: trans.__('traced'), measured: trans.__('measured') };
    const how = h('span', { class: 'wb-sub' }, kinds[payload.kind]);
    const about = payload.measured?.title ?? payload.subtitle;
    const badge = payload.measured === null ? null : errorBadge(payload.made, payload.measured.measured, trans);
    return h(
      'header',
      { class: 'wb-head' },
      h('h3', { class: 'wb-title' }, payload.title),
      h('span', { class: 'wb-sub wb-fitsub', dir: 'auto', title: about }, about),
      payload.measured === null ? how : null,
      this.cardChoice(),
      this.verdict,
      badge
    );
  }

  /** The card's name, or a choice of cards where there are several. */
  private cardChoice(): HTMLElement {
    const { trans } = this;
    const cards = [...this.payload.cards];
    if (this.card !== null && !cards.some(item => item.name === this.card?.name)) {
      cards.unshift(this.card);
    }
    const words = (item: FitCard): string =>
      /\d Gi?B$/.test(item.name) ? item.name : `${item.name}, ${size(item.bytes)}`;
    const held = h('span', { class: 'wb-sub' });
    const say = (): void => {
      const others = this.card?.held ?? 0;
      held.textContent = others > 0 ? trans.__('%1 held by others', size(others)) : '';
    };
    say();
    if (cards.length < 2) {
      return h('span', { class: 'wb-sub', dir: 'auto' }, this.card === null ? '' : words(this.card), ' ', held);
    }
    const none = h('option', { value: '', selected: this.card === null }, trans.__('no card'));
    const option = (item: FitCard, index: number): HTMLElement =>
      h('option', { value: index, selected: item.name === this.card?.name }, words(item));
    const select = h(
      'select',
      { class: 'wb-select wb-fitcard', 'aria-label': trans.__('Card') },
      none,
      ...cards.map(option)
    );
    on(
      select,
      'change',
      () => {
        this.card = cards[select.selectedIndex - 1] ?? null;
        say();
        this.draw();
        this.tell();
      },
      this.listeners.signal
    );
    return h('span', { class: 'wb-fitcards' }, select, held);
  }

  private measuredParts(): readonly HTMLElement[] {
    const { measured, made } = this.payload;
    return measured === null ? [] : fitMeasured(made, measured.measured, roomOf(this.card), this.unit, this.trans);
  }

  private assumptions(): HTMLElement[] {
    const { assumptions } = this.payload;
    if (assumptions.length === 0) {
      return [];
    }
    const summary = h('summary', {}, this.trans.__('What these figures take for granted'));
    return [
      h(
        'details',
        { class: 'wb-granted' },
        summary,
        h('ul', {}, ...assumptions.map(text => h('li', { dir: 'auto' }, text)))
      )
    ];
  }

  /** One drawing a frame, however many moves it has. */
  private move(change: Partial<FitChoice>): void {
    if (this.choice !== null) {
      this.choice = { ...this.choice, ...change };
      this.isMoving = true;
      cancelAnimationFrame(this.frame);
      this.frame = requestAnimationFrame(() => this.draw());
    }
  }

  private apply(choice: FitChoice): void {
    this.choice = choice;
    this.tell();
  }

  /** What a choice needs; as Python said while nothing is changed. */
  private estimated(trial: Trial, choice: FitChoice): Breakdown | null {
    if (JSON.stringify(choice) === JSON.stringify(trial.start)) {
      return this.payload.made;
    }
    try {
      return trial.estimate(choice);
    } catch {
      return null;
    }
  }

  private draw(): void {
    const { trial, choice } = this;
    const room = roomOf(this.card);
    if (trial !== null && choice !== null) {
      const found = this.estimated(trial, choice);
      this.say(trial, found);
      this.made = found ?? this.made;
      trial.controls.draw(choice);
      this.code.update(this.codeNow());
    }
    this.drawMade(room);
    if (trial !== null && choice !== null) {
      this.propose(trial, choice, room);
    }
  }

  private propose(trial: Trial, choice: FitChoice, room: number | null): void {
    const { estimate, tried } = trial;
    const word = this.word ?? null;
    try {
      const found = remediesOf(choice, tried, estimate, room);
      const isEnough = word === 'fits' || found.some(remedy => remedy.word === 'fits');
      const together = isEnough || room === null || this.isMoving ? null : togetherOf(choice, tried, estimate, room);
      trial.remedies.draw(choice, found, word, together);
    } catch {
      trial.remedies.draw(choice, [], word, null);
    }
  }

  private drawMade(room: number | null): void {
    const { made, payload } = this;
    const kinds = kindsOf(made);
    const shown = shownBytes(made);
    const top = Math.max(room === null ? shown * BEYOND_CARD : room * BEYOND_CARD, shown * BEYOND_SHOWN, 1);
    this.figures.draw(made, room);
    this.stack.draw(kinds, room, top);
    this.scale.draw(room, top);
    this.keys.draw(made, kinds);
    this.step.draw(made, room, made === payload.made ? payload.curve : null);
    const word = room === null ? null : verdictOf(made, room);
    if (word !== this.word) {
      this.word = word;
      this.verdict.replaceChildren(...(word === null && payload.of === 'host' ? [] : [verdictBadge(word, this.trans)]));
    }
  }

  private codeNow(): string {
    const { choice, payload, trial } = this;
    return trial === null || choice === null
      ? payload.code
      : codeOf(trial.start, choice, this.given(choice), this.card?.argument ?? null);
  }

  /** Arguments of the call; a method that is not the closed form's goes once something is moved. */
  private given(choice: FitChoice): Readonly<Record<string, string>> {
    const { kind, arguments: given } = this.payload;
    const isStart = JSON.stringify(choice) === JSON.stringify(this.trial?.start);
    return kind === 'analytic' || isStart
      ? given
      : Object.fromEntries(Object.entries(given).filter(([name]) => name !== 'method'));
  }

  /** What stands between the bar and the sliders: that the figures now come from elsewhere, or do not come at all. */
  private say(trial: Trial, found: Breakdown | null): void {
    const { payload, trans } = this;
    const isStart = found === payload.made;
    if (found === null) {
      this.notice.textContent = trans.__('The closed form does not know this setting; the bar shows the one before.');
    } else if (!isStart && payload.kind !== 'analytic') {
      const start = trial.estimate(trial.start);
      this.notice.textContent = trans.__(
        'Now the closed form: for the setting that was traced it gives %1 alive, the trace %2.',
        size(start.live),
        size(payload.made.live)
      );
    }
    this.notice.hidden = found !== null && (isStart || payload.kind === 'analytic');
  }

  /** The verdict in words, for readers of screens; not while a slider moves. */
  private tell(): void {
    cancelAnimationFrame(this.frame);
    this.isMoving = false;
    this.draw();
    const words = this.word === null || this.word === undefined ? '' : `${verdictWord(this.word, this.trans)}. `;
    const shown = this.trans.__(
      'nvidia-smi will show %1, %2 alive.',
      size(shownBytes(this.made)),
      size(this.made.live)
    );
    this.live.say(words + shown);
  }
}

export function fitBar(props: FitBarProps, trans: Trans): Component<FitPayload> {
  const host = h('div', { class: 'wb-fithost' });
  let card: FitBar | null = null;
  const make = (payload: FitPayload): void => {
    card?.dispose();
    card = new FitBar(payload, trans, props.estimator ?? estimatorOf);
    host.replaceChildren(card.node);
  };
  make(props.payload);
  return { node: host, update: make, dispose: () => card?.dispose() };
}
