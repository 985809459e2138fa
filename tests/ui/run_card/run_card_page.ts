/** Run cards on a bare page, fed by the test: `page.evaluate("cards.…")`. */

import { english } from '../../../labextension/src/components/component';
import type { Component } from '../../../labextension/src/components/component';
import { runCard } from '../../../labextension/src/components/runCard';
import { nextDelay } from '../../../labextension/src/runs/feed';
import { reduce } from '../../../labextension/src/runs/reducer';
import type { RunEvent } from '../../../labextension/src/runs/reducer';
import { modelFrom } from '../../../labextension/src/runs/state';
import { restTransport } from '../../../labextension/src/runs/transport';
import type { RunPayload } from '../../../labextension/src/runs/types';
import { compareWords, repeats } from '../../../labextension/src/components/sampleGridWords';

/** A server of one run: a log that the test appends to, and the commands that it was sent. */
class FakeServer {
  log: RunEvent[] = [];
  state: string | null = null;
  failing: number | null = null;
  refusing: string | null = null;
  readonly requests: { path: string; method: string }[] = [];
  readonly commands: Record<string, unknown>[] = [];

  constructor(private readonly payload: RunPayload) {}

  /** Offsets count events here; the cards take them for bytes and never look inside. */
  readonly answer = async (path: string, init: RequestInit): Promise<Response> => {
    this.requests.push({ path, method: init.method ?? 'GET' });
    if (this.failing !== null) {
      return new Response(JSON.stringify({ message: 'the server is restarting' }), { status: this.failing });
    }
    if (path.endsWith('/commands')) {
      return this.command(String(init.body));
    }
    const offset = /events\?offset=(\d+)/.exec(path);
    return json(offset === null ? this.described() : this.page(Number(offset[1])));
  };

  private described(): unknown {
    return { id: this.payload.id, name: this.payload.name, snapshot: { ...this.payload.snapshot, ...this.told } };
  }

  told: Partial<RunPayload['snapshot']> = {};

  private page(offset: number): unknown {
    const states = this.log.filter(event => event.kind === 'state');
    const state = this.state ?? states[states.length - 1]?.['state'] ?? this.payload.snapshot.state;
    const size = this.payload.snapshot.offset + this.log.length;
    const events = this.log.slice(offset - this.payload.snapshot.offset);
    return { events, offset: size, state, stalled: false, size };
  }

  private command(body: string): Response {
    if (this.refusing !== null) {
      return new Response(JSON.stringify({ message: this.refusing }), { status: 409 });
    }
    this.commands.push(JSON.parse(body) as Record<string, unknown>);
    return json({ cmd: `command-${this.commands.length}` });
  }
}

function json(value: unknown): Response {
  return new Response(JSON.stringify(value), { status: 200 });
}

const mounted: { card: Component<RunPayload>; server: FakeServer }[] = [];

/** Add a card; `server` is the number of an earlier card whose server this one shares. */
function mount(payload: RunPayload, options: { live?: boolean; inert?: boolean; server?: number } = {}): number {
  const server =
    (options.server === undefined ? undefined : mounted[options.server]?.server) ?? new FakeServer(payload);
  const transport = options.inert === true ? null : restTransport(payload.id, server.answer);
  const card = runCard({ payload, live: options.live ?? true, transport }, english);
  document.body.append(card.node);
  return mounted.push({ card, server }) - 1;
}

const cards = {
  mount,
  server: (index: number): FakeServer | undefined => mounted[index]?.server,
  push: (index: number, events: RunEvent[]): void => void mounted[index]?.server.log.push(...events),
  dispose: (index: number): void => mounted[index]?.card.dispose(),
  reduceAll: (payload: RunPayload, events: RunEvent[]) => events.reduce(reduce, modelFrom(payload)),
  nextDelay,
  compareWords,
  repeats
};

Object.assign(window, { cards });
