/** Questions of token views, carried to the kernel of their notebook over one comm a handle. */
import type { Kernel } from '@jupyterlab/services';

import type { RequestDetail } from './components/askKernel';
import type { Trans } from './components/component';
import { COMM_TARGET, parseEnvelope } from './wire';

interface Waiting {
  resolve(answer: unknown): void;
  reject(reason: Error): void;
}

class Channel {
  private readonly waiting = new Map<number, Waiting>();
  private readonly comm: Kernel.IComm;
  private lastId = 0;

  constructor(
    kernel: Kernel.IKernelConnection,
    handle: string,
    private readonly trans: Trans
  ) {
    this.comm = kernel.createComm(COMM_TARGET);
    this.comm.onMsg = message => this.receive(message.content.data);
    this.comm.onClose = () => this.close();
    this.comm.open({ handle });
  }

  get isOpen(): boolean {
    return !this.comm.isDisposed;
  }

  ask(detail: RequestDetail): void {
    this.lastId += 1;
    this.waiting.set(this.lastId, detail);
    this.comm.send({ id: this.lastId, ...detail.message });
  }

  close(): void {
    const asked = [...this.waiting.values()];
    this.waiting.clear();
    const gone = new Error(this.trans.__('The kernel no longer has this object. Run the cell again.'));
    asked.forEach(item => item.reject(gone));
  }

  private receive(data: unknown): void {
    const { id } = parseEnvelope(data);
    const asked = this.waiting.get(id);
    this.waiting.delete(id);
    asked?.resolve(data);
  }
}

export class KernelRows {
  private readonly channels = new WeakMap<Kernel.IKernelConnection, Map<string, Channel>>();

  constructor(private readonly trans: Trans) {}

  ask(kernel: Kernel.IKernelConnection, detail: RequestDetail): void {
    try {
      this.channel(kernel, detail.handle).ask(detail);
    } catch (error) {
      detail.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  private channel(kernel: Kernel.IKernelConnection, handle: string): Channel {
    let channels = this.channels.get(kernel);
    if (channels === undefined) {
      channels = new Map();
      this.channels.set(kernel, channels);
      this.forgetOnRestart(kernel, channels);
    }
    let channel = channels.get(handle);
    if (channel === undefined || !channel.isOpen) {
      channel = new Channel(kernel, handle, this.trans);
      channels.set(handle, channel);
    }
    return channel;
  }

  /** A restarted kernel knows no comm: whoever waits is told, and the next question opens a new one. */
  private forgetOnRestart(kernel: Kernel.IKernelConnection, channels: Map<string, Channel>): void {
    kernel.statusChanged.connect((_, status) => {
      if (['restarting', 'autorestarting', 'terminating', 'dead'].includes(status)) {
        channels.forEach(channel => channel.close());
        channels.clear();
      }
    });
  }
}
