/** The opened document: its tokens, what stands under them, the attention triangle, the way to its data row. */
import type { BatchPayload, OpenedDocument } from '../wire';
import { attentionFigure } from './batchAttention';
import type { Place } from './batchLanes';
import { batchTokens, lossOf } from './batchTokens';
import type { BatchTokens, Under } from './batchTokens';
import { laneName } from './batchWords';
import { formatNumber, h, on } from './component';
import type { Child, Trans } from './component';
import { fieldOf, reasonOf } from './rowModel';

export interface DocumentActions {
  /** Show the data row that the tokens came from. */
  source(row: number): void;
  attention(shown: boolean): void;
}

export interface DocumentPanel {
  readonly node: HTMLElement;
  readonly tokens: BatchTokens;
  readonly attention: boolean;
  setAttention(shown: boolean): void;
  update(payload: BatchPayload, opened: OpenedDocument): void;
  dispose(): void;
}

function switchButton(words: string, key: string): HTMLButtonElement {
  return h(
    'button',
    { class: 'wb-switch', type: 'button', role: 'switch', 'aria-checked': 'false', title: `${words} (${key})` },
    h('i', {}),
    words
  );
}

class Panel {
  readonly node = h('div', { class: 'wb-open' });
  readonly tokens: BatchTokens;
  attention = false;
  private readonly head = h('div', { class: 'wb-oh' });
  private readonly figure = h('div', { class: 'wb-attbox' });
  private readonly about = h('div', { class: 'wb-tabout wb-sub' });
  private readonly listeners = new AbortController();
  private readonly attentionSwitch: HTMLButtonElement;
  private readonly underButtons: readonly { readonly what: Under; readonly button: HTMLButtonElement }[];
  private under: Under = 'position';

  constructor(
    private payload: BatchPayload,
    private opened: OpenedDocument,
    private readonly actions: DocumentActions,
    private readonly trans: Trans
  ) {
    this.tokens = batchTokens({ opened, onCurrent: () => this.drawAbout() }, trans);
    this.attentionSwitch = switchButton(trans.__('Attention'), 'a');
    on(this.attentionSwitch, 'click', () => this.actions.attention(!this.attention), this.listeners.signal);
    const names: Readonly<Record<Under, string>> = {
      position: trans.__('Positions'),
      loss: trans.__('Loss'),
      nothing: trans.__('Text only')
    };
    this.underButtons = (['position', 'loss', 'nothing'] as const).map(what => {
      const button = h('button', { type: 'button' }, names[what]);
      on(button, 'click', () => this.setUnder(what), this.listeners.signal);
      return { what, button };
    });
    this.node.append(
      this.head,
      h('div', { class: 'wb-split' }, h('div', {}, this.tokens.node, this.about), this.figure)
    );
    this.show(payload, opened);
  }

  dispose(): void {
    this.listeners.abort();
    this.tokens.dispose();
  }

  show(payload: BatchPayload, opened: OpenedDocument): void {
    this.payload = payload;
    this.opened = opened;
    this.tokens.update(opened);
    this.drawHead();
    this.setUnder(this.hasLoss() ? this.under : this.under === 'loss' ? 'position' : this.under);
    this.setAttention(this.attention);
    this.drawAbout();
  }

  setAttention(shown: boolean): void {
    this.attention = shown;
    this.attentionSwitch.setAttribute('aria-checked', String(shown));
    this.figure.replaceChildren(...(shown ? [attentionFigure(this.payload, this.place(), this.trans)] : []));
    this.node.classList.toggle('wb-noatt', !shown);
  }

  private place(): Place {
    return { lane: this.opened.lane, document: this.opened.document };
  }

  private hasLoss(): boolean {
    return this.opened.row.measures['loss'] !== undefined;
  }

  private setUnder(what: Under): void {
    this.under = what;
    this.tokens.under(what);
    this.underButtons.forEach(item => {
      item.button.setAttribute('aria-pressed', String(item.what === what));
      item.button.hidden = item.what === 'loss' && !this.hasLoss();
    });
  }

  private drawHead(): void {
    const { payload, opened, trans } = this;
    const document = payload.lanes[opened.lane]?.documents[opened.document];
    const button = h(
      'button',
      { class: 'wb-btn', type: 'button' },
      document === undefined ? trans.__('Data row') : trans.__('See data row %1', document.row),
      h('span', { class: 'wb-kbd', 'aria-hidden': 'true' }, 'p')
    );
    on(button, 'click', () => this.actions.source(document?.row ?? 0), this.listeners.signal);
    this.head.replaceChildren(
      h('b', { class: 'wb-h' }, opened.row.title),
      h('span', { class: 'wb-sub' }, this.words()),
      h('span', { class: 'wb-spring' }),
      button,
      h(
        'span',
        { class: 'wb-seg', role: 'group', 'aria-label': trans.__('Under each token') },
        ...this.underButtons.map(item => item.button)
      ),
      this.attentionSwitch
    );
  }

  private words(): string {
    const { payload, opened, trans } = this;
    const document = payload.lanes[opened.lane]?.documents[opened.document];
    if (document === undefined) {
      return '';
    }
    const range = trans.__(
      '%1 %2, index %3 to %4',
      laneName(payload, trans),
      opened.lane,
      formatNumber(document.start),
      formatNumber(document.start + document.length)
    );
    return [
      range,
      ...(payload.layout === 'packed' && document.at !== document.start
        ? [trans.__('column %1 of the batch', formatNumber(document.at))]
        : []),
      trans.__('%1 tokens', formatNumber(document.length)),
      trans.__('%1 trained', formatNumber(document.trained)),
      trans.__('positions 0 to %1', formatNumber(document.length - 1)),
      ...(document.first_masked ? [trans.__('first label masked')] : []),
      ...(document.loss === null ? [] : [trans.__('mean loss %1', formatNumber(document.loss, 3))])
    ].join(', ');
  }

  /** The current token in a line: where it comes from and what came for it. */
  private drawAbout(): void {
    const { tokens, opened, trans } = this;
    const { model, current } = tokens;
    if (model.length === 0) {
      this.about.replaceChildren(trans.__('No token.'));
      return;
    }
    const { row } = model;
    const field = fieldOf(row, current);
    const loss = lossOf(model, current);
    const position = row.tokens.position[current] ?? current;
    const reason = row.reasons[reasonOf(row, current)];
    const bits: Child[] = [
      h('b', {}, trans.__('position %1', formatNumber(position))),
      trans.__(', id %1, ', row.tokens.id[current] ?? 0),
      row.tokens.trained[current] === 1 ? trans.__('trained, ') : trans.__('masked, '),
      loss === null ? '' : trans.__('loss %1 nats, ', formatNumber(loss, 3)),
      field === null ? trans.__('template text') : h('code', {}, field),
      trans.__(' of '),
      this.payload.rows === null
        ? trans.__('data row %1', row.row ?? opened.document)
        : h('code', {}, `${this.payload.rows}[${row.row ?? opened.document}]`),
      reason === undefined ? '' : `. ${reason}`
    ];
    this.about.replaceChildren(...bits.filter(bit => bit !== null));
  }
}

export function documentPanel(
  payload: BatchPayload,
  opened: OpenedDocument,
  actions: DocumentActions,
  trans: Trans
): DocumentPanel {
  const panel = new Panel(payload, opened, actions, trans);
  return {
    node: panel.node,
    tokens: panel.tokens,
    get attention() {
      return panel.attention;
    },
    setAttention: shown => panel.setAttention(shown),
    update: (value, shown) => panel.show(value, shown),
    dispose: () => panel.dispose()
  };
}
