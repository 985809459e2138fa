/** One polling loop a run, shared by all cards that show it. */

import { reduce } from './reducer';
import { isTerminal, modelFrom, stateName } from './state';
import type { RunModel } from './state';
import { RunRequestError } from './transport';
import type { EventsReply, RunTransport } from './transport';

export type Connection = 'connecting' | 'live' | 'lost' | 'gone' | 'ended';

export interface FeedView {
  readonly model: RunModel;
  readonly connection: Connection;
  /** Why the connection is lost. */
  readonly error: string | null;
}

/** A card's hold on a feed. */
export interface Subscription {
  /** Off-screen cards need no polling. */
  setVisible(visible: boolean): void;
  command(op: string, args?: Readonly<Record<string, unknown>>): Promise<string>;
  dispose(): void;
}

export interface Pace {
  readonly state: RunModel['state'];
  readonly hidden: boolean;
  /** Polls in a row that brought no event. */
  readonly empty: number;
  /** Polls in a row that failed. */
  readonly failures: number;
}

/** Milliseconds to the next poll; null where there is nothing to wait for. */
export function nextDelay(pace: Pace): number | null {
  if (pace.failures > 0) {
    return Math.min(30_000, 1000 * 2 ** (pace.failures - 1));
  }
  if (isTerminal(pace.state)) {
    return null;
  }
  if (pace.hidden) {
    return 5000;
  }
  const calm = pace.state === 'paused' || pace.state === 'queued';
  return pace.empty > 20 || calm ? 1000 : 300;
}

/** Pages read before the cards are told; a long log must not freeze them at the old state. */
const PAGES = 8;

class Feed {
  constructor(
    private view: FeedView,
    private readonly transport: RunTransport,
    private readonly onEmpty: () => void
  ) {
    document.addEventListener('visibilitychange', this.wake);
  }

  subscribe(listener: (view: FeedView) => void): Subscription {
    const entry = { listener, visible: false };
    this.entries.add(entry);
    listener(this.view);
    return {
      setVisible: visible => {
        const woken = visible && !entry.visible;
        entry.visible = visible;
        if (woken) {
          listener(this.view);
          this.wake();
        }
      },
      command: async (op, args) => {
        const id = await this.transport.command(op, args);
        this.wake();
        return id;
      },
      dispose: () => {
        this.entries.delete(entry);
        if (this.entries.size === 0) {
          this.dispose();
        }
      }
    };
  }

  private dispose(): void {
    this.disposed = true;
    this.clear();
    document.removeEventListener('visibilitychange', this.wake);
    this.onEmpty();
  }

  private readonly wake = (): void => {
    if (document.visibilityState === 'visible' || this.timer === null) {
      this.clear();
      void this.poll();
    }
  };

  private clear(): void {
    if (this.timer !== null) {
      window.clearTimeout(this.timer);
      this.timer = null;
    }
  }

  private wanted(): boolean {
    return !this.disposed && [...this.entries].some(entry => entry.visible);
  }

  private async poll(): Promise<void> {
    if (this.polling || !this.wanted()) {
      return;
    }
    this.polling = true;
    try {
      await this.read();
      this.failures = 0;
    } catch (error) {
      this.fail(error);
    } finally {
      this.polling = false;
    }
    this.tell();
    this.schedule();
  }

  private async read(): Promise<void> {
    if (!this.attached) {
      const { name, snapshot } = await this.transport.snapshot();
      const model = modelFrom({ id: this.view.model.id, name, snapshot }, this.view.model.series.epoch + 1);
      this.view = { model, connection: 'live', error: null };
      this.attached = true;
    }
    let events = 0;
    for (let page = 0; page < PAGES; page++) {
      const before = this.view.model.offset;
      const reply = await this.transport.events(before);
      events += reply.events.length;
      this.apply(reply);
      if (reply.offset >= reply.size || reply.offset === before) {
        break;
      }
    }
    this.empty = events === 0 ? this.empty + 1 : 0;
    await this.close();
  }

  private apply(reply: EventsReply): void {
    const read = reply.events.reduce(reduce, this.view.model);
    // The server looked at the state before it read the events, so a state among them is the newer one.
    const told = reply.offset >= reply.size && !reply.events.some(event => event.kind === 'state');
    const state = (told ? stateName(reply.state) : null) ?? read.state;
    const model = { ...read, offset: reply.offset, stalled: reply.stalled, state };
    this.view = { model, connection: 'live', error: null };
  }

  /** A death may have no event of its own: its message and log tail come with the snapshot. */
  private async close(): Promise<void> {
    const model = this.view.model;
    if (!isTerminal(model.state)) {
      this.closed = false;
      return;
    }
    if (!this.closed) {
      const { snapshot } = await this.transport.snapshot();
      const said = { message: snapshot.message ?? model.message, logTail: snapshot.log_tail ?? model.logTail };
      this.view = { ...this.view, model: { ...model, ...said } };
      this.closed = true;
    }
    this.view = { ...this.view, connection: 'ended' };
  }

  private fail(error: unknown): void {
    const gone = error instanceof RunRequestError && error.status === 404;
    this.failures += 1;
    this.view = {
      ...this.view,
      connection: gone ? 'gone' : 'lost',
      error: error instanceof Error ? error.message : String(error)
    };
  }

  private tell(): void {
    for (const entry of this.entries) {
      if (entry.visible) {
        entry.listener(this.view);
      }
    }
  }

  private schedule(): void {
    if (this.view.connection === 'gone' || !this.wanted()) {
      return;
    }
    const { state } = this.view.model;
    const hidden = document.visibilityState === 'hidden';
    const delay = nextDelay({ state, hidden, empty: this.empty, failures: this.failures });
    if (delay !== null) {
      this.clear();
      this.timer = window.setTimeout(() => {
        this.timer = null;
        void this.poll();
      }, delay);
    }
  }

  private readonly entries = new Set<{ listener: (view: FeedView) => void; visible: boolean }>();
  private timer: number | null = null;
  private polling = false;
  private attached = false;
  private closed = false;
  private disposed = false;
  private empty = 0;
  private failures = 0;
}

const feeds = new Map<string, Feed>();

/**
 * Follow a run; the listener hears at once what is known, then at most once a poll while it is visible.
 *
 * Cards of the same run share the first one's transport and loop.
 */
export function follow(initial: RunModel, transport: RunTransport, listener: (view: FeedView) => void): Subscription {
  let feed = feeds.get(initial.id);
  if (feed === undefined) {
    feed = new Feed({ model: initial, connection: 'connecting', error: null }, transport, () =>
      feeds.delete(initial.id)
    );
    feeds.set(initial.id, feed);
  }
  return feed.subscribe(listener);
}
