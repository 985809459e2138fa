/** A training run: one line when folded; figures, controls, loss, samples and a question when open. */

import { h } from './component';
import type { Component, Trans } from './component';
import { lossChart } from './lossChart';
import { askRow } from './runCardAsk';
import { codeRow } from './runCardCode';
import { runControls } from './runCardControls';
import { agreementBadge, runFigures } from './runCardFigures';
import { runLine } from './runCardLine';
import { leave, listenForKeys } from './runCardKeys';
import { announcer, connectionNotice, runWarnings } from './runCardNotice';
import { runSummary, runTrouble } from './runCardOutcome';
import { setAttribute } from './runCardParts';
import type { CardView } from './runCardParts';
import { sampleGrid } from './sampleGrid';
import { follow } from '../runs/feed';
import type { Subscription } from '../runs/feed';
import { isTerminal, modelFrom } from '../runs/state';
import type { RunTransport } from '../runs/transport';
import type { RunPayload } from '../runs/types';

export interface RunCardProps {
  readonly payload: RunPayload;
  /** Follow the run at once; otherwise only after a click. */
  readonly live: boolean;
  /** Null where there is no server to ask: the payload's snapshot is all there is. */
  readonly transport: RunTransport | null;
}

/** Make the card. */
export function runCard(props: RunCardProps, trans: Trans): Component<RunPayload> {
  const card = new RunCard(props, trans);
  return { node: card.node, update: payload => card.setPayload(payload), dispose: () => card.dispose() };
}

class RunCard {
  readonly node: HTMLElement;

  constructor(
    private readonly props: RunCardProps,
    private readonly trans: Trans
  ) {
    const { signal } = this.abort;
    const act = (op: string, args: Readonly<Record<string, unknown>>, code: string): void => this.act(op, args, code);
    this.announce = announcer(trans);
    this.code = codeRow(props.payload.code, trans);
    this.line = runLine(trans, open => this.fold(open), signal);
    this.controls = runControls(trans, act, signal);
    this.notice = connectionNotice(trans, () => this.goLive(), signal);
    this.summary = runSummary(trans, line => this.code.insert(line), signal);
    this.chart = lossChart(trans);
    this.grid = sampleGrid(trans);
    this.parts = [
      this.line,
      this.notice,
      runTrouble(trans),
      runFigures(trans),
      this.controls,
      agreementBadge(trans),
      runWarnings(trans),
      this.summary,
      askRow(trans, act, signal)
    ];
    this.view = { model: modelFrom(props.payload), connection: 'saved', error: null };
    this.node = this.lay(props.payload);
    const { controls } = this;
    const keys = { s: () => controls.sampleNow(), p: () => controls.pauseOrResume(), Escape: () => leave(this.node) };
    listenForKeys(this.node, keys, signal);
    this.watch = new IntersectionObserver(entries => this.seen(entries.some(entry => entry.isIntersecting)));
    this.watch.observe(this.node);
    this.draw();
    if (props.live) {
      this.goLive();
    }
  }

  setPayload(payload: RunPayload): void {
    if (this.subscription === null) {
      this.show({ model: modelFrom(payload, this.view.model.series.epoch + 1), connection: 'saved', error: null });
    }
  }

  dispose(): void {
    this.subscription?.dispose();
    this.watch.disconnect();
    this.code.dispose();
    this.chart.dispose();
    this.grid.dispose();
    this.announce.dispose();
    this.abort.abort();
  }

  /** Head, then everything that folding hides. */
  private lay(payload: RunPayload): HTMLElement {
    const [line, notice, trouble, figures, controls, badge, warnings, , ask] = this.parts.map(part => part.node);
    const chart = h('div', { class: 'wb-two' }, this.chart.node, this.summary.facts);
    const label = this.trans.__('Run %1', payload.id);
    const parts = [
      line,
      notice,
      trouble,
      figures,
      controls,
      badge,
      chart,
      warnings,
      this.grid.node,
      ask,
      this.summary.node,
      this.code.node,
      this.announce.node
    ];
    return h(
      'section',
      { class: 'wb-card wb-run', 'aria-label': label, 'data-open': 'true' },
      ...parts.map(part => part ?? null)
    );
  }

  private goLive(): void {
    const { transport } = this.props;
    if (transport === null || this.subscription !== null) {
      return;
    }
    this.subscription = follow(this.view.model, transport, view => this.show(view));
    this.subscription.setVisible(this.visible);
  }

  private show(view: CardView): void {
    this.view = view;
    if (this.visible) {
      this.draw();
    }
  }

  private fold(open: boolean): void {
    setAttribute(this.node, 'data-open', String(open));
    this.chart.setVisible(this.visible && open);
  }

  private seen(visible: boolean): void {
    this.visible = visible;
    this.chart.setVisible(visible && this.node.dataset['open'] === 'true');
    this.subscription?.setVisible(visible);
    if (visible) {
      this.draw();
    }
  }

  private draw(): void {
    const { view } = this;
    const { model } = view;
    setAttribute(this.node, 'data-state', model.state);
    setAttribute(this.node, 'data-connection', view.connection);
    this.notice.setLiveable(this.props.transport !== null && this.subscription === null && !isTerminal(model.state));
    for (const part of this.parts) {
      part.update(view);
    }
    this.chart.update(model);
    this.grid.update(model);
    this.announce.hear(view);
  }

  private act(op: string, args: Readonly<Record<string, unknown>>, code: string): void {
    this.code.show(code);
    if (this.subscription === null) {
      return;
    }
    this.subscription.command(op, args).then(
      id => this.notice.sent(id),
      (error: unknown) => this.notice.refused(error instanceof Error ? error.message : String(error))
    );
  }

  private readonly abort = new AbortController();
  private readonly announce;
  private readonly code;
  private readonly line;
  private readonly controls;
  private readonly notice;
  private readonly summary;
  private readonly chart;
  private readonly grid;
  private readonly parts;
  private readonly watch: IntersectionObserver;
  private subscription: Subscription | null = null;
  private visible = false;
  private view: CardView;
}
