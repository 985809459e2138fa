/** What stands around the panes of the X-ray: head, badges, pane heads, status line, help. */
import type { TemplateError, TemplatePayload, XrayView } from '../wire';
import { formatNumber, h, icon, on } from './component';
import type { Child, Trans } from './component';
import type { XrayBar } from './xrayBar';
import { xrayKeyHelp } from './xrayKeys';
import { sourceLines } from './xrayModel';
import type { XrayModel } from './xrayModel';
import type { Window } from './xrayWindow';

export interface FrameParts {
  readonly bar: XrayBar;
  readonly badges: HTMLElement;
  readonly jinja: readonly HTMLElement[];
  readonly text: HTMLElement;
  readonly tokens: HTMLElement;
  readonly code: HTMLElement;
}

export interface FrameActions {
  page(by: 1 | -1): void;
  next(): void;
  edit(editing: boolean): void;
  reset(): void;
  tokenizer(name: string): void;
}

function switchButton(label: string): HTMLButtonElement {
  return h('button', { class: 'wb-switch', type: 'button', role: 'switch', 'aria-checked': 'false' }, h('i'), label);
}

function legend(trans: Trans): Child[] {
  const key = (text: string): Child => h('span', { class: 'wb-kbd' }, text);
  return [
    h(
      'span',
      { class: 'wb-leg' },
      h('span', { class: 'wb-swatch wb-sw-f', 'aria-hidden': 'true' }),
      trans.__('from your data')
    ),
    h(
      'span',
      { class: 'wb-leg' },
      h('span', { class: 'wb-swatch wb-sw-t', 'aria-hidden': 'true' }),
      trans.__('from the template')
    ),
    h(
      'span',
      { class: 'wb-leg' },
      key('↑'),
      key('↓'),
      trans.__('line'),
      key('Tab'),
      trans.__('pane'),
      key('?'),
      trans.__('all keys')
    )
  ];
}

export class XrayFrame {
  readonly head = h('header', { class: 'wb-head' });
  readonly panes = h('div', { class: 'wb-panes' });
  readonly parts: readonly HTMLElement[];
  private readonly title = h('h3', { class: 'wb-title' });
  private readonly sub = h('span', { class: 'wb-sub' });
  private readonly working = h('span', { class: 'wb-sub', hidden: true });
  private readonly failure = h('p', { class: 'wb-fail', role: 'status', hidden: true });
  private readonly notes = h('div', { class: 'wb-notes' });
  private readonly other = h('div', {});
  private readonly claims = h('div', { class: 'wb-claims' });
  private readonly claimsBox;
  private readonly editSwitch;
  private readonly resetButton;
  private readonly madeHead = h('span', { class: 'wb-sub' });
  private readonly characters = h('span', { class: 'wb-sub wb-num' });
  private readonly tokenCount = h('span', { class: 'wb-sub wb-num' });
  private readonly stretch = h('span', { class: 'wb-sub wb-num' });
  private readonly pages: HTMLElement;
  private readonly earlier;
  private readonly later;
  private readonly refusal = h('div', { class: 'wb-refusal', hidden: true });
  private readonly lost = h('p', { class: 'wb-lost', hidden: true });
  private readonly noTokens;
  private readonly words = h('span', { class: 'wb-ll' });
  private readonly nextButton;
  private readonly help: HTMLElement;
  private readonly textPane: HTMLElement;
  private readonly tokensPane: HTMLElement;
  error: TemplateError | null = null;
  isEditing = false;

  constructor(
    parts: FrameParts,
    private readonly actions: FrameActions,
    private readonly trans: Trans,
    signal: AbortSignal
  ) {
    this.editSwitch = switchButton(trans.__('Edit'));
    this.resetButton = h('button', { class: 'wb-btn wb-quiet', type: 'button', hidden: true }, trans.__('Undo edits'));
    this.earlier = h(
      'button',
      { class: 'wb-btn wb-icon wb-quiet', type: 'button', 'aria-label': trans.__('Earlier text') },
      icon('previous')
    );
    this.later = h(
      'button',
      { class: 'wb-btn wb-icon wb-quiet', type: 'button', 'aria-label': trans.__('Later text') },
      icon('next')
    );
    this.pages = h('span', { class: 'wb-pages' }, this.earlier, this.stretch, this.later);
    this.nextButton = h(
      'button',
      { class: 'wb-btn wb-quiet', type: 'button', hidden: true },
      trans.__('Next place'),
      h('span', { class: 'wb-kbd', 'aria-hidden': 'true' }, 'n')
    );
    this.noTokens = this.tokenizerForm(signal);
    this.help = h('div', { class: 'wb-help', hidden: true }, xrayKeyHelp(trans));
    this.claimsBox = h(
      'details',
      { class: 'wb-claimbox' },
      h('summary', {}, h('span', { class: 'wb-h' }, trans.__('Which template counts'))),
      this.claims
    );
    this.working.textContent = trans.__('rendering …');
    this.lost.textContent = trans.__('The text of the last version that gave one:');
    this.textPane = h(
      'div',
      { class: 'wb-pane' },
      this.paneHead(trans.__('Rendered text'), this.pages, this.characters),
      this.refusal,
      this.lost,
      parts.text
    );
    this.tokensPane = h(
      'div',
      { class: 'wb-pane' },
      this.paneHead(trans.__('Tokens'), this.tokenCount),
      this.noTokens,
      parts.tokens
    );
    this.panes.append(
      h(
        'div',
        { class: 'wb-pane' },
        this.paneHead(trans.__('Jinja'), this.resetButton, this.editSwitch, this.madeHead),
        ...parts.jinja
      ),
      this.textPane,
      this.tokensPane
    );
    const { bar } = parts;
    this.title.textContent = trans.__('Template X-ray');
    this.head.append(
      this.title,
      this.sub,
      this.working,
      h('span', { class: 'wb-spring' }),
      bar.conversation,
      bar.against,
      bar.prompt
    );
    const status = h(
      'div',
      { class: 'wb-link-line' },
      icon('info'),
      this.words,
      this.nextButton,
      h('span', { class: 'wb-spring' }),
      ...legend(trans)
    );
    this.parts = [
      this.head,
      parts.badges,
      this.failure,
      this.notes,
      this.other,
      this.panes,
      status,
      this.help,
      this.claimsBox,
      parts.code
    ];
    this.listen(signal);
  }

  get said(): string {
    return this.words.textContent ?? '';
  }

  get shownWords(): string {
    return this.stretch.textContent ?? '';
  }

  say(words: readonly Child[], hasNext: boolean): void {
    this.words.replaceChildren(...words.filter(child => child !== null));
    this.nextButton.hidden = !hasNext;
  }

  busy(isBusy: boolean): void {
    this.working.hidden = !isBusy;
    this.panes.setAttribute('aria-busy', String(isBusy));
  }

  fail(message: string | null): void {
    this.failure.hidden = message === null;
    this.failure.textContent = message ?? '';
  }

  /** The panes show the text of an earlier version: the present one gives none. */
  stale(isStale: boolean): void {
    this.lost.hidden = !isStale;
    this.textPane.classList.toggle('wb-stale', isStale);
    this.tokensPane.classList.toggle('wb-stale', isStale);
  }

  toggleHelp(): void {
    this.help.hidden = !this.help.hidden;
  }

  setEditing(editing: boolean): void {
    this.isEditing = editing;
    this.editSwitch.setAttribute('aria-checked', String(editing));
  }

  focusEdit(): void {
    this.editSwitch.focus();
  }

  drawHead(payload: TemplatePayload, view: XrayView): void {
    const { trans } = this;
    const count = sourceLines(view.source).length;
    const edited = view.edited ? `, ${trans.__('edited')}` : '';
    this.sub.textContent = `${payload.title}, ${trans._n('%1 line', '%1 lines', count)}${edited}`;
    this.sub.title = `${payload.origin}, sha256 ${payload.sha256}`;
    this.resetButton.hidden = !view.edited;
    this.notes.replaceChildren(...view.notes.map(note => h('p', { class: 'wb-sub' }, note)));
    this.madeHead.textContent = view.rendering?.tokens == null ? trans.__('characters made') : trans.__('tokens made');
    this.error = view.error;
    this.refuse(view);
  }

  against(children: readonly HTMLElement[]): void {
    this.other.replaceChildren(...children);
  }

  resolution(children: readonly Child[]): void {
    this.claims.replaceChildren(...children.filter(child => child !== null));
    this.claimsBox.hidden = children.length === 0;
  }

  counts(model: XrayModel, window: Window): void {
    const { trans } = this;
    const { rendering, view } = model;
    const all = rendering?.characters ?? 0;
    const isWhole = window.start === 0 && window.end >= all;
    this.characters.textContent = rendering === null ? '' : trans.__('%1 characters', formatNumber(all));
    this.pages.hidden = isWhole;
    this.stretch.textContent = trans.__('%1 to %2', formatNumber(window.start), formatNumber(window.end));
    this.earlier.disabled = window.start === 0;
    this.later.disabled = window.end >= all;
    const tokens = rendering?.token_count ?? null;
    const known = rendering?.tokens != null;
    this.noTokens.hidden = known || rendering === null;
    const name = view.tokenizer === null ? '' : `, ${view.tokenizer}`;
    const part = isWhole || !known ? '' : trans.__('%1 to %2 of ', formatNumber(window.from), formatNumber(window.to));
    this.tokenCount.textContent = tokens === null ? '' : part + trans.__('%1 tokens', formatNumber(tokens)) + name;
  }

  private refuse(view: XrayView): void {
    const { error } = view;
    this.refusal.hidden = error === null || this.isEditing;
    if (error !== null) {
      const where = error.line === null ? '' : this.trans.__('Line %1: ', error.line);
      this.refusal.replaceChildren(
        h(
          'div',
          { class: 'wb-finding wb-error', role: 'alert' },
          icon('cross'),
          h(
            'div',
            { dir: 'auto' },
            h('span', { class: 'wb-code-no' }, error.code),
            where,
            error.message,
            ' ',
            error.remedy
          )
        )
      );
    }
  }

  private paneHead(name: string, ...right: Child[]): HTMLElement {
    return h('div', { class: 'wb-ph' }, h('b', { class: 'wb-h' }, name), h('span', { class: 'wb-spring' }), ...right);
  }

  private tokenizerForm(signal: AbortSignal): HTMLElement {
    const { trans } = this;
    const field = h('input', {
      class: 'wb-input',
      type: 'text',
      placeholder: trans.__('path or hub id'),
      'aria-label': trans.__('Tokenizer')
    });
    const use = h('button', { class: 'wb-btn', type: 'button' }, trans.__('Show tokens'));
    const go = (): void => {
      if (field.value.trim() !== '') {
        this.actions.tokenizer(field.value.trim());
      }
    };
    on(use, 'click', go, signal);
    on(
      field,
      'keydown',
      event => {
        event.stopPropagation();
        if (event.key === 'Enter') {
          event.preventDefault();
          go();
        }
      },
      signal
    );
    return h(
      'div',
      { class: 'wb-notok' },
      h('p', { class: 'wb-sub' }, trans.__('No tokenizer is known for this template.')),
      field,
      use
    );
  }

  private listen(signal: AbortSignal): void {
    on(this.earlier, 'click', () => this.actions.page(-1), signal);
    on(this.later, 'click', () => this.actions.page(1), signal);
    on(this.nextButton, 'click', () => this.actions.next(), signal);
    on(this.editSwitch, 'click', () => this.actions.edit(!this.isEditing), signal);
    on(this.resetButton, 'click', () => this.actions.reset(), signal);
  }
}

export function xrayFrame(parts: FrameParts, actions: FrameActions, trans: Trans, signal: AbortSignal): XrayFrame {
  return new XrayFrame(parts, actions, trans, signal);
}
