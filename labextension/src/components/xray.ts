/**
 * The template card: which line wrote this?
 *
 * Three linked panes (Jinja, rendered text, tokens). What is pointed at lights up in the others and is said in words; a
 * click keeps it. The conversation, the generation prompt, another template and every edit are asked of the kernel.
 */
import { propertiesAnswer, viewAnswer } from '../wire';
import type { TemplatePayload, XrayAsk, XrayView } from '../wire';
import { askKernel } from './askKernel';
import { codeLine } from './codeLine';
import { h, liveRegion, on } from './component';
import type { Component, Trans } from './component';
import { keepKeys } from './pickerKeys';
import { leaveTo, obeyKeys } from './tokenKeys';
import { xrayBadges } from './xrayBadges';
import { xrayBar } from './xrayBar';
import { differencePanel, resolutionPanel } from './xrayCompare';
import { editPane } from './xrayEdit';
import { jinjaPane } from './xrayJinja';
import { litBy, XrayModel } from './xrayModel';
import type { Target } from './xrayModel';
import { xrayFrame } from './xrayFrame';
import { movingKeys } from './xrayKeys';
import { textPane } from './xrayText';
import { tokenPane } from './xrayTokens';
import { windowAround, windowBefore, windowFrom } from './xrayWindow';
import type { Window } from './xrayWindow';
import { failureWords, wordsOf } from './xrayWords';

/** How long nobody types before the properties are looked at again: they cost more than a rendering. */
const PROPERTIES_PAUSE_MS = 700;

class Card {
  readonly node = h('section', { class: 'wb-card wb-xray' });
  private readonly listeners = new AbortController();
  private readonly live = liveRegion();
  private readonly bar;
  private readonly badges;
  private readonly jinja;
  private readonly edit;
  private readonly text;
  private readonly tokens;
  private readonly code;
  private readonly frame;
  private model: XrayModel;
  private window: Window;
  private kept: Target | null = null;
  private pointed: Target | null = null;
  private wanted: XrayAsk;
  private source: string | null = null;
  private turn = 0;
  private propertiesTimer: number | undefined;

  constructor(
    private payload: TemplatePayload,
    private readonly trans: Trans
  ) {
    const { signal } = this.listeners;
    this.model = new XrayModel(payload.view);
    this.window = windowFrom(this.model, 0);
    this.wanted = payload.view.ask;
    const linked = { onPoint: this.point, onKeep: this.keep };
    this.jinja = jinjaPane(
      {
        onPoint: line => this.point(line === null ? null : { kind: 'line', line }),
        onKeep: line => this.keep({ kind: 'line', line })
      },
      trans
    );
    this.text = textPane(linked, trans);
    this.tokens = tokenPane(linked, trans);
    this.edit = editPane(
      {
        onChange: source => this.edited(source),
        onLine: line => this.point({ kind: 'line', line }),
        onLeave: () => this.setEditing(false)
      },
      trans
    );
    this.bar = xrayBar(
      {
        conversation: (conversation, row) => void this.ask({ conversation, row }),
        generationPrompt: generation_prompt => void this.ask({ generation_prompt }),
        against: against => void this.ask({ against })
      },
      trans
    );
    this.badges = xrayBadges({ properties: payload.properties, onLine: line => this.goToLine(line) }, trans);
    this.code = codeLine({ code: payload.view.code }, trans);
    this.frame = xrayFrame(
      {
        bar: this.bar,
        badges: this.badges.node,
        jinja: [this.jinja.node, this.edit.node],
        text: this.text.node,
        tokens: this.tokens.node,
        code: this.code.node
      },
      {
        page: by => this.page(by),
        next: () => this.nextPlace(),
        edit: editing => this.setEditing(editing),
        reset: () => this.reset(),
        tokenizer: tokenizer => void this.ask({ tokenizer })
      },
      trans,
      signal
    );
    this.node.append(...this.frame.parts, this.live.node);
    this.node.setAttribute('aria-label', trans.__('Template X-ray'));
    this.listen(signal);
    this.draw();
  }

  update(payload: TemplatePayload): void {
    this.payload = payload;
    this.kept = this.pointed = null;
    this.source = null;
    this.badges.update(payload.properties);
    this.show(payload.view);
  }

  dispose(): void {
    this.listeners.abort();
    window.clearTimeout(this.propertiesTimer);
    for (const part of [this.bar, this.badges, this.jinja, this.edit, this.text, this.tokens, this.code]) {
      part.dispose();
    }
  }

  private listen(signal: AbortSignal): void {
    const moving = movingKeys({
      prompt: () => void this.ask({ generation_prompt: !this.wanted.generation_prompt }),
      edit: () => this.setEditing(true),
      help: () => this.frame.toggleHelp(),
      keep: () => this.keepPointed(),
      next: () => this.nextPlace(),
      leave: () => this.leave()
    });
    for (const pane of [this.jinja, this.text, this.tokens]) {
      obeyKeys(
        pane.list,
        moving(by => pane.move(by)),
        signal
      );
    }
    keepKeys(this.frame.head, signal);
    on(
      this.frame.panes,
      'focusout',
      event => {
        if (!(event.relatedTarget instanceof Node && this.frame.panes.contains(event.relatedTarget))) {
          this.point(null);
        }
      },
      signal
    );
  }

  // ---------------------------------------------------------------- pointing

  private readonly point = (target: Target | null): void => {
    this.pointed = target;
    this.light();
  };

  private readonly keep = (target: Target): void => {
    this.kept = JSON.stringify(this.kept) === JSON.stringify(target) ? null : target;
    this.pointed = target;
    this.light();
    this.frame.say(this.words(), this.hasOtherPlaces());
    this.live.say(this.kept === null ? this.trans.__('Not kept') : this.frame.said);
  };

  private keepPointed(): void {
    if (this.pointed !== null) {
      this.keep(this.pointed);
    }
  }

  private leave(): void {
    if (this.kept !== null) {
      this.kept = null;
      this.light();
      this.live.say(this.trans.__('Not kept'));
    } else {
      leaveTo(this.node);
    }
  }

  private light(): void {
    const target = this.pointed ?? this.kept;
    const lit = target === null ? null : litBy(this.model, target);
    const keptLine = this.kept?.kind === 'line' ? this.kept.line : null;
    this.jinja.light(lit?.lines ?? new Set(), keptLine);
    this.text.light(lit, this.kept);
    this.tokens.light(lit, this.kept);
    const first = lit === null ? undefined : [...lit.lines][0];
    if (first !== undefined && target?.kind !== 'line') {
      this.jinja.show(first);
    }
    this.frame.say(this.words(), this.hasOtherPlaces());
  }

  private words(): readonly (Node | string | null)[] {
    const target = this.pointed ?? this.kept;
    return target === null
      ? [this.trans.__('Point at a line, a text or a token; a click keeps it.')]
      : wordsOf(this.model, target, this.trans);
  }

  private goToLine(line: number): void {
    this.kept = null;
    this.keep({ kind: 'line', line });
    this.jinja.focusLine(line);
    if (this.model.nextRunOf(line, 0) !== null && !this.isLineSeen(line)) {
      this.nextPlace();
    }
  }

  private isLineSeen(line: number): boolean {
    return this.model.runsOver(this.window.start, this.window.end).some(run => this.model.lineOfRun(run) === line);
  }

  private hasOtherPlaces(): boolean {
    const target = this.kept;
    const isWhole = this.window.start === 0 && this.window.end >= this.model.characters;
    return !isWhole && target?.kind === 'line' && this.model.made(target.line).places > 0;
  }

  /** The next page on which the kept line wrote something. */
  private nextPlace(): void {
    const target = this.kept ?? this.pointed;
    if (target?.kind !== 'line') {
      return;
    }
    const run = this.model.nextRunOf(target.line, this.model.runAt(Math.max(0, this.window.end - 1)) + 1);
    if (run !== null && (run > this.model.runAt(this.window.start) || this.model.isWhole)) {
      this.turnTo(windowAround(this.model, this.model.runStart(run)));
    } else if (!this.model.isWhole) {
      void this.fetchMore(() => this.nextPlace());
    }
  }

  private page(by: 1 | -1): void {
    const { model, window } = this;
    if (by === -1) {
      this.turnTo(windowBefore(model, window));
    } else if (window.end < model.characters) {
      this.turnTo(windowFrom(model, window.end));
    } else {
      void this.fetchMore(() => this.page(1));
    }
  }

  /** The rest of a text that the output holds the beginning of; `then` runs where more of it came. */
  private async fetchMore(then: () => void): Promise<void> {
    const had = this.model.characters;
    const { kept } = this;
    await this.ask({}, this.window.start);
    this.kept = kept;
    if (this.model.characters > had) {
      then();
    }
    this.light();
  }

  private turnTo(window: Window): void {
    this.window = window;
    this.drawText();
    this.live.say(this.frame.shownWords);
  }

  // ---------------------------------------------------------------- asking

  private async ask(changes: Partial<XrayAsk>, at = 0): Promise<void> {
    const before = this.wanted;
    this.wanted = { ...before, ...changes };
    this.turn += 1;
    const { turn, wanted } = this;
    this.frame.busy(true);
    try {
      const message = { op: 'xray', ...wanted, source: this.source };
      const { view } = await askKernel(this.node, this.payload.handle, message, viewAnswer);
      if (turn === this.turn) {
        this.show(view, at);
      }
    } catch (error) {
      if (turn === this.turn) {
        this.wanted = before;
        this.bar.update(this.payload, before);
        this.frame.fail(failureWords(error, this.trans));
      }
    } finally {
      if (turn === this.turn) {
        this.frame.busy(false);
      }
    }
  }

  private show(view: XrayView, at = 0): void {
    this.frame.fail(null);
    this.wanted = view.ask;
    const next = new XrayModel(view);
    const isLost = view.rendering === null && this.frame.isEditing && this.model.rendering !== null;
    this.frame.stale(isLost);
    if (!isLost) {
      this.model = next;
      const start = at > 0 ? at : this.window.start;
      this.window = windowFrom(next, start < next.characters ? start : 0);
    }
    if (this.kept !== null && this.kept.kind !== 'line') {
      this.kept = null;
    }
    this.pointed = null;
    this.draw(view);
  }

  // ---------------------------------------------------------------- editing

  private setEditing(editing: boolean): void {
    const { view } = this.model;
    this.frame.setEditing(editing);
    this.jinja.node.hidden = editing;
    this.edit.node.hidden = !editing;
    if (editing) {
      this.edit.open(this.source ?? view.source);
      this.edit.draw(this.model, this.frame.error);
      this.edit.focus();
    } else {
      this.frame.stale(false);
      this.jinja.draw(this.model);
      this.light();
      this.frame.focusEdit();
    }
  }

  private edited(source: string): void {
    this.source = source === this.payload.original ? null : source;
    void this.ask({});
    window.clearTimeout(this.propertiesTimer);
    this.propertiesTimer = window.setTimeout(() => void this.askProperties(), PROPERTIES_PAUSE_MS);
  }

  private reset(): void {
    this.source = null;
    if (this.frame.isEditing) {
      this.edit.open(this.payload.original);
    }
    void this.ask({});
    this.badges.update(this.payload.properties);
  }

  private async askProperties(): Promise<void> {
    const { source } = this;
    try {
      const message = { op: 'properties', source };
      const { properties } = await askKernel(this.node, this.payload.handle, message, propertiesAnswer);
      if (source === this.source && properties.length > 0) {
        this.badges.update(properties);
      }
    } catch {
      // The rendering says what is wrong; the badges keep what they said.
    }
  }

  // ---------------------------------------------------------------- drawing

  private draw(view: XrayView = this.model.view): void {
    const { payload, model, trans } = this;
    const focused = [this.jinja.list, this.text.list, this.tokens.list].find(list =>
      list.contains(document.activeElement)
    );
    this.bar.update(payload, this.wanted);
    this.frame.drawHead(payload, view);
    this.frame.against(view.difference === null ? [] : [differencePanel(view.difference, trans)]);
    this.frame.resolution(resolutionPanel(view.resolution, trans));
    if (!this.frame.isEditing) {
      this.jinja.draw(model);
    }
    this.edit.draw(model, view.error);
    this.drawText();
    this.code.update(view.code);
    focused?.querySelector<HTMLElement>('[tabindex="0"]')?.focus();
  }

  private drawText(): void {
    this.text.draw(this.model, this.window);
    this.tokens.draw(this.model, this.window);
    this.frame.counts(this.model, this.window);
    this.light();
  }
}

export function xray(payload: TemplatePayload, trans: Trans): Component<TemplatePayload> {
  const card = new Card(payload, trans);
  return { node: card.node, update: value => card.update(value), dispose: () => card.dispose() };
}
