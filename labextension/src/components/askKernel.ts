/** Ask the kernel for what is not in the output; the host of the component carries the question. */
import type { Parser } from '../parse';
import { parseEnvelope } from '../wire';
import type { KernelRequest } from '../wire';

export const REQUEST_EVENT = 'wb-request-row';

export interface RequestDetail {
  readonly handle: string;
  readonly message: KernelRequest;
  resolve(answer: unknown): void;
  reject(reason: Error): void;
}

export class NoKernelError extends Error {
  override readonly name = 'NoKernelError';
}

/**
 * Dispatch `wb-request-row` from `node`; a host that will answer calls `preventDefault()`.
 *
 * Rejects with NoKernelError when there is no host or no kernel object, with Error when the kernel refuses.
 */
export async function askKernel<T>(
  node: HTMLElement,
  handle: string | null,
  message: KernelRequest,
  parse: Parser<T>
): Promise<T> {
  if (handle === null) {
    throw new NoKernelError('This output has no kernel object.');
  }
  const raw = await new Promise<unknown>((resolve, reject) => {
    const detail: RequestDetail = { handle, message, resolve, reject };
    const event = new CustomEvent<RequestDetail>(REQUEST_EVENT, {
      bubbles: true,
      composed: true,
      cancelable: true,
      detail
    });
    if (node.dispatchEvent(event)) {
      reject(new NoKernelError('Nobody here can ask the kernel.'));
    }
  });
  const { error } = parseEnvelope(raw);
  if (error !== null) {
    throw new Error(error);
  }
  return parse(raw, message.op);
}
