/** The server routes of a run (docs/wire.md, section 5). Free of JupyterLab: the request function is handed in. */

import { parseRun } from '../wire';
import { array, boolean, integer, members, number, object, string } from '../parse';
import type { Members, Parser } from '../parse';
import type { RunEvent } from './reducer';
import type { RunSnapshot } from './types';

export interface EventsReply {
  readonly events: readonly RunEvent[];
  /** Byte offset after the last event. */
  readonly offset: number;
  readonly state: string;
  readonly stalled: boolean;
  /** Bytes of the log; more than `offset` means that there is more to read, or a line not yet whole. */
  readonly size: number;
}

/** Members beyond these are checked by the reducer, which knows the kinds. */
const runEvent: Parser<RunEvent> = (value, path) => {
  const event = members(value, path);
  return {
    ...event,
    seq: integer(event['seq'], `${path}.seq`),
    t: number(event['t'], `${path}.t`),
    kind: string(event['kind'], `${path}.kind`)
  };
};

const eventsReply: Parser<EventsReply> = object({
  events: array(runEvent),
  offset: integer,
  state: string,
  stalled: boolean,
  size: integer
});

/** How a card talks to its run. */
export interface RunTransport {
  events(offset: number): Promise<EventsReply>;
  command(op: string, args?: Readonly<Record<string, unknown>>): Promise<string>;
  snapshot(): Promise<{ name: string; snapshot: RunSnapshot }>;
}

/** `path` is relative to `/finetune-workbench`; the answer is what `fetch` answers. */
export type Request = (path: string, init: RequestInit) => Promise<Response>;

/** The server refused, with its own words. */
export class RunRequestError extends Error {
  constructor(
    message: string,
    readonly status: number
  ) {
    super(message);
    this.name = 'RunRequestError';
  }
}

/** Bytes of log in one answer. */
const PAGE = 262144;

/** Talk to one run over the server's routes. Answers are checked here; nothing behind this sees unparsed data. */
export function restTransport(id: string, request: Request): RunTransport {
  const path = `runs/${encodeURIComponent(id)}`;
  const json = async (part: string, init: RequestInit = {}): Promise<unknown> => {
    const response = await request(`${path}${part}`, init);
    if (!response.ok) {
      throw new RunRequestError(await refusal(response), response.status);
    }
    return response.json();
  };
  return {
    events: async offset => eventsReply(await json(`/events?offset=${offset}&limit=${PAGE}`), 'events'),
    command: async (op, args = {}) => {
      const reply = await json('/commands', { method: 'POST', body: JSON.stringify({ ...args, op }) });
      return string(members(reply, 'command')['cmd'], 'command.cmd');
    },
    snapshot: async () => {
      const reply = members(await json(''), 'run');
      return { name: string(reply['name'], 'run.name'), snapshot: snapshotOf(id, reply) };
    }
  };
}

function snapshotOf(id: string, reply: Members): RunSnapshot {
  const { name, snapshot } = reply;
  return parseRun({ version: 1, id, name, live: true, snapshot, code: '' }).snapshot;
}

async function refusal(response: Response): Promise<string> {
  try {
    const body: unknown = await response.json();
    if (typeof body === 'object' && body !== null && 'message' in body && typeof body.message === 'string') {
      return body.message;
    }
  } catch {
    // Not JSON: a proxy answered. The status line says as much as is known.
  }
  return `${response.status} ${response.statusText}`;
}
