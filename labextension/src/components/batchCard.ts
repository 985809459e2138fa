/**
 * A collated batch: lanes of documents, whether the model received it, and the tokens of the opened document.
 *
 * Knows places and keys; drawing is done by the parts. Tokens that are not in the output are asked of the kernel.
 */
import { object } from '../parse';
import type { Parsed } from '../parse';
import { openedDocument, parseTokens } from '../wire';
import type { BatchPayload, OpenedDocument, TokensPayload } from '../wire';
import { askKernel, NoKernelError } from './askKernel';
import { documentPanel } from './batchDocument';
import type { DocumentPanel } from './batchDocument';
import { arraysLine, batchKeys, drawFigures, drawHead, laneLegend } from './batchHead';
import { batchLanes, laneAxis } from './batchLanes';
import type { Place } from './batchLanes';
import { verdictStrip } from './batchVerdict';
import { spokenDocument } from './batchWords';
import { codeLine } from './codeLine';
import { h, liveRegion, nodesIn, on } from './component';
import type { Component, Trans } from './component';
import { leaveTo, obeyKeys } from './tokenKeys';
import type { KeyActions } from './tokenKeys';
import { tokenViewer } from './tokenViewer';

export interface BatchCardProps {
  readonly payload: BatchPayload;
}

const sourceAnswer = object({ payload: (value: unknown): TokensPayload => parseTokens(value) });
type SourceAnswer = Parsed<typeof sourceAnswer>;

const MOST_KEPT = 60;
const MOST_NODES = 1000;
/** Nodes of a data row's viewer without its tokens. */
const NODES_OF_VIEWER = 270;

class Card {
  readonly node = h('section', { class: 'wb-card wb-batch' });
  private readonly listeners = new AbortController();
  private drawn = new AbortController();
  private readonly live = liveRegion();
  private readonly head = h('header', { class: 'wb-head' });
  private readonly figures = h('div', { class: 'wb-eff' });
  private readonly laneBox = h('div', { class: 'wb-lanebox' });
  private readonly foot = h('div', {});
  private readonly panelBox = h('div', {});
  private readonly sourceBox = h('div', { class: 'wb-sourcebox', tabindex: -1, hidden: true });
  private readonly help: HTMLElement;
  private readonly lanes;
  private readonly proof;
  private readonly code;
  private readonly kept = new Map<string, OpenedDocument>();
  private panel: DocumentPanel | null = null;
  private source: Component<TokensPayload> | null = null;
  private attention = false;
  private asked = 0;
  private cameFrom: 'lanes' | 'tokens' = 'lanes';
  private payload: BatchPayload;

  constructor(
    props: BatchCardProps,
    private readonly trans: Trans
  ) {
    this.payload = props.payload;
    this.lanes = batchLanes({ payload: this.payload, onOpen: place => void this.open(place, false) }, trans);
    this.proof = verdictStrip({ nextDifference: () => void this.nextDifference() }, trans);
    this.code = codeLine({ code: this.payload.code }, trans);
    this.help = h('div', { class: 'wb-help', hidden: true }, batchKeys(trans));
    this.node.setAttribute('aria-label', trans.__('Batch'));
    this.node.append(
      this.head,
      this.figures,
      this.laneBox,
      this.proof.node,
      this.panelBox,
      this.sourceBox,
      this.help,
      this.code.node,
      this.live.node
    );
    this.listen();
    this.show(this.payload);
  }

  dispose(): void {
    this.listeners.abort();
    this.drawn.abort();
    this.closeSource();
    this.panel?.dispose();
    for (const part of [this.lanes, this.proof, this.code]) {
      part.dispose();
    }
  }

  update(payload: BatchPayload): void {
    this.payload = payload;
    this.kept.clear();
    this.closeSource();
    this.lanes.update(payload);
    this.show(payload);
  }

  private show(payload: BatchPayload): void {
    this.drawn.abort();
    this.drawn = new AbortController();
    drawHead(this.head, payload, this.trans);
    drawFigures(this.figures, payload, this.trans);
    this.foot.replaceChildren(laneLegend(payload, this.trans), arraysLine(payload, this.trans, this.drawn.signal));
    this.laneBox.replaceChildren(laneAxis(payload), this.lanes.node, this.foot);
    this.node.dataset['layout'] = payload.layout;
    this.proof.update(payload);
    this.code.update(payload.code);
    this.panel?.dispose();
    this.panel = null;
    this.panelBox.replaceChildren();
    if (payload.opened !== null) {
      this.keep(payload.opened);
      this.lanes.go(payload.opened, false);
      this.drawOpened(payload.opened);
    } else {
      this.lanes.markOpen(null);
    }
  }

  private keep(opened: OpenedDocument): void {
    this.kept.set(`${opened.lane}.${opened.document}`, opened);
    const oldest = this.kept.keys().next().value;
    if (this.kept.size > MOST_KEPT && oldest !== undefined) {
      this.kept.delete(oldest);
    }
  }

  private drawOpened(opened: OpenedDocument): void {
    if (this.panel === null) {
      const actions = {
        source: (row: number) => void this.openSource(row),
        attention: (shown: boolean) => this.setAttention(shown)
      };
      this.panel = documentPanel(this.payload, opened, actions, this.trans);
      obeyKeys(this.panel.tokens.node, this.tokenKeys(this.panel), this.listeners.signal);
      this.panelBox.replaceChildren(this.panel.node);
      this.panel.setAttention(this.attention);
    } else {
      this.panel.update(this.payload, opened);
    }
    this.lanes.markOpen({ lane: opened.lane, document: opened.document });
  }

  private async open(place: Place, intoTokens: boolean): Promise<boolean> {
    const isOpen = this.lanes.openPlace?.lane === place.lane && this.lanes.openPlace.document === place.document;
    const opened = this.kept.get(`${place.lane}.${place.document}`) ?? (await this.fetch(place));
    if (opened === null) {
      return false;
    }
    this.keep(opened);
    this.closeSource();
    if (!isOpen) {
      this.drawOpened(opened);
      this.say(this.trans.__('Opened: %1', spokenDocument(this.payload, place, this.trans)));
    }
    if (intoTokens || isOpen) {
      this.panel?.tokens.focus();
    }
    return true;
  }

  private async fetch(place: Place): Promise<OpenedDocument | null> {
    this.asked += 1;
    const turn = this.asked;
    const request = { op: 'document', lane: place.lane, document: place.document };
    const answer = await this.ask(() => askKernel(this.node, this.payload.handle, request, openedDocument));
    return turn === this.asked ? answer : null;
  }

  private async ask<T>(work: () => Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      this.live.node.classList.remove('wb-vh');
      this.live.node.classList.add('wb-said');
      this.live.say(
        error instanceof NoKernelError
          ? this.trans.__('Only the document saved in this output can be opened. Run the cell again to open others.')
          : String(error instanceof Error ? error.message : error)
      );
      return null;
    }
  }

  private say(text: string): void {
    this.live.node.classList.add('wb-vh');
    this.live.node.classList.remove('wb-said');
    this.live.say(text);
  }

  private async openSource(row: number): Promise<void> {
    const answer: SourceAnswer | null = await this.ask(() =>
      askKernel(this.node, this.payload.handle, { op: 'source', row }, sourceAnswer)
    );
    if (answer === null) {
      return;
    }
    this.closeSource();
    const fromTokens = this.panel?.node.contains(document.activeElement) ?? false;
    this.panel?.node.remove();
    this.source = tokenViewer(
      {
        payload: answer.payload,
        nodes: MOST_NODES - NODES_OF_VIEWER - nodesIn(this.node),
        leave: () => this.leaveSource()
      },
      this.trans
    );
    this.cameFrom = fromTokens ? 'tokens' : 'lanes';
    const close = h('button', { class: 'wb-btn', type: 'button' }, this.trans.__('Close the data row'));
    on(close, 'click', () => this.leaveSource(), this.listeners.signal);
    this.sourceBox.replaceChildren(
      h(
        'div',
        { class: 'wb-oh' },
        h('b', { class: 'wb-h' }, this.trans.__('Data row %1', row)),
        this.payload.rows === null ? null : h('code', {}, `${this.payload.rows}[${row}]`),
        h('span', { class: 'wb-spring' }),
        close
      ),
      this.source.node
    );
    this.sourceBox.hidden = false;
    this.sourceBox.scrollIntoView({ block: 'nearest' });
    /* The viewer lays its tokens out once it has a width, which is after this frame. */
    requestAnimationFrame(() => requestAnimationFrame(() => this.focusSource()));
  }

  private focusSource(): void {
    const tokens = this.source?.node.querySelector<HTMLElement>('.wb-toks');
    (tokens?.querySelector<HTMLElement>('[tabindex="0"]') ?? tokens)?.focus({ preventScroll: true });
  }

  private closeSource(): void {
    this.source?.dispose();
    this.source = null;
    this.sourceBox.replaceChildren();
    this.sourceBox.hidden = true;
    if (this.panel !== null) {
      this.panelBox.replaceChildren(this.panel.node);
    }
  }

  /** Back to where the data row was opened from. */
  private leaveSource(): void {
    this.closeSource();
    if (this.cameFrom === 'tokens' && this.panel !== null) {
      this.panel.tokens.focus();
    } else {
      this.lanes.focus();
    }
  }

  private setAttention(shown: boolean): void {
    this.attention = shown;
    this.panel?.setAttention(shown);
  }

  /** The next document that differs, from the current one on, round the batch. */
  private async nextDifference(): Promise<void> {
    const places = this.payload.lanes.flatMap((lane, index) =>
      lane.documents.flatMap((item, document) => (item.differs > 0 ? [{ lane: index, document }] : []))
    );
    const { lane, document } = this.lanes.current;
    const later = places.find(place => place.lane > lane || (place.lane === lane && place.document > document));
    const next = later ?? places[0];
    if (next === undefined) {
      this.say(this.trans.__('No document differs.'));
      return;
    }
    this.lanes.go(next, true);
    await this.open(next, false);
  }

  private pressedSource(): void {
    const { lane, document } = this.lanes.current;
    const found = this.payload.lanes[lane]?.documents[document];
    if (found !== undefined) {
      void this.openSource(found.row);
    }
  }

  private commonKeys(): KeyActions {
    return {
      a: () => this.setAttention(!this.attention),
      n: () => void this.nextDifference(),
      p: () => this.pressedSource(),
      '?': () => {
        this.help.hidden = !this.help.hidden;
      }
    };
  }

  private tokenKeys(panel: DocumentPanel): KeyActions {
    return {
      ...this.commonKeys(),
      ArrowRight: () => panel.tokens.step(1),
      ArrowLeft: () => panel.tokens.step(-1),
      Home: () => panel.tokens.go(0, true),
      End: () => panel.tokens.go(panel.tokens.model.length - 1, true),
      p: () => void this.openSource(panel.tokens.model.row.row ?? 0),
      Escape: () => this.lanes.focus()
    };
  }

  private listen(): void {
    const open = (): void => void this.open(this.lanes.current, false);
    const toEnd = (last: boolean): void => {
      const { lane } = this.lanes.current;
      const count = this.payload.lanes[lane]?.documents.length ?? 1;
      this.lanes.go({ lane, document: last ? count - 1 : 0 }, true);
    };
    const actions: KeyActions = {
      ...this.commonKeys(),
      ArrowRight: () => this.lanes.step(1),
      ArrowLeft: () => this.lanes.step(-1),
      ArrowDown: () => this.lanes.stepLane(1),
      ArrowUp: () => this.lanes.stepLane(-1),
      Home: () => toEnd(false),
      End: () => toEnd(true),
      Enter: open,
      ' ': open,
      Escape: () => leaveTo(this.node)
    };
    obeyKeys(this.lanes.node, actions, this.listeners.signal);
    /* Escape in the data row's viewer gives the focus to what holds it: this box, which passes it on to the lanes. */
    on(
      this.sourceBox,
      'focus',
      () => {
        this.leaveSource();
      },
      this.listeners.signal
    );
  }
}

export function batchCard(props: BatchCardProps, trans: Trans): Component<BatchPayload> {
  const card = new Card(props, trans);
  return { node: card.node, update: payload => card.update(payload), dispose: () => card.dispose() };
}
