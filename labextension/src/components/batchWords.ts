/** Sentences of the batch card. */
import type { BatchDocument, BatchLane, BatchPayload } from '../wire';
import { formatNumber, formatShare } from './component';
import type { Trans } from './component';

export function laneName(payload: BatchPayload, trans: Trans): string {
  return payload.layout === 'packed' ? trans.__('packed row') : trans.__('row');
}

/** Room of a lane that no token takes: padding that the model gets, or slots that stay free. */
export function emptyWords(payload: BatchPayload, lane: BatchLane, trans: Trans): string {
  const empty = Math.max(0, payload.width - lane.tokens);
  if (empty === 0) {
    return '';
  }
  return lane.padding > 0
    ? trans.__('%1 padding', formatNumber(lane.padding))
    : trans.__('%1 free', formatNumber(empty));
}

export function spokenLane(payload: BatchPayload, index: number, trans: Trans): string {
  const lane = payload.lanes[index];
  if (lane === undefined) {
    return '';
  }
  const empty = emptyWords(payload, lane, trans);
  return [
    trans.__('%1 %2', laneName(payload, trans), index),
    trans._n('%1 document', '%1 documents', lane.documents.length),
    trans.__('%1 tokens', formatNumber(lane.tokens)),
    ...(empty === '' ? [] : [empty])
  ].join(', ');
}

function positions(document: BatchDocument, payload: BatchPayload, trans: Trans): string {
  return payload.layout === 'packed' && document.start > 0
    ? trans.__('positions restart at 0')
    : trans.__('positions 0 to %1', formatNumber(document.length - 1));
}

export function spokenDocument(
  payload: BatchPayload,
  place: { readonly lane: number; readonly document: number },
  trans: Trans
): string {
  const lane = payload.lanes[place.lane];
  const document = lane?.documents[place.document];
  if (lane === undefined || document === undefined) {
    return '';
  }
  return [
    trans.__('data row %1', document.row),
    trans.__('%1 tokens', formatNumber(document.length)),
    trans.__('%1 trained', formatShare(document.trained, document.length)),
    positions(document, payload, trans),
    ...(document.first_masked ? [trans.__('first label masked')] : []),
    ...(document.loss === null ? [] : [trans.__('mean loss %1', formatNumber(document.loss, 3))]),
    ...(document.differs > 0 ? [trans.__('%1 tokens differ', formatNumber(document.differs))] : []),
    trans.__('document %1 of %2', place.document + 1, lane.documents.length)
  ].join(', ');
}

/** Share of the full causal triangle that documents of these lengths may read of each other. */
export function attentionShare(lengths: readonly number[], whole: number): number {
  const triangle = (n: number): number => (n * (n + 1)) / 2;
  return whole === 0 ? 0 : lengths.reduce((sum, length) => sum + triangle(length), 0) / triangle(whole);
}
