/**
 * The TypeScript mirror of docs/wire.md: what Python sends, parsed once at the door.
 *
 * Nothing else in the front end looks at unparsed data.
 */
export { WireError } from './parse';
export { BATCH_MIME, openedDocument, parseBatch } from './wire/batch';
export type { BatchDocument, BatchLane, BatchPayload, BatchVerdict, OpenedDocument } from './wire/batch';
export type { Difference, Finding } from './wire/findings';
export type { Columns } from './wire/columns';
export { FIT_MIME, parseFit } from './wire/fit';
export type { FitCard, FitMeasurement, FitPayload, FitTried } from './wire/fit';
export { COMM_TARGET, copyAnswer, parseEnvelope, rowAnswer, rowsAnswer } from './wire/kernel';
export type { KernelRequest, ListedRow, RowAnswer, RowsAnswer } from './wire/kernel';
export { pairAnswer, parsePairs, PAIRS_MIME } from './wire/pairs';
export type { Pair, PairSide, PairsPayload } from './wire/pairs';
export { parsePicker, parseScan } from './wire/picker';
export type { PickerCell, PickerChange, PickerScan, PickerState } from './wire/picker';
export { groupAnswer, parseRollouts, ROLLOUTS_MIME } from './wire/rollouts';
export type { Completion, RolloutGroup, RolloutsPayload } from './wire/rollouts';
export { parseRun, RUN_MIME } from './wire/runs';
export type { RunPayload } from './wire/runs';
export { parseTemplate, propertiesAnswer, TEMPLATE_MIME, viewAnswer } from './wire/template';
export type {
  Cut,
  Rendering,
  TemplateClaim,
  TemplateDifference,
  TemplateError,
  TemplatePayload,
  TemplateProperty,
  XrayAsk,
  XrayView
} from './wire/template';
export { parseTokens, TOKENS_MIME } from './wire/tokens';
export type { Medium, Row, Segment, TokensPayload } from './wire/tokens';
