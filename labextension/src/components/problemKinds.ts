/** Kinds of problems that one looks for one by one; the codes of each are those of workbench/checks/kinds.py. */
import type { Finding } from '../wire';
import type { Trans } from './component';

export type ProblemKind = 'untrained' | 'stop' | 'cut' | 'straddling' | 'filler' | 'other';
export const KINDS: readonly ProblemKind[] = ['untrained', 'stop', 'cut', 'straddling', 'filler', 'other'];

const KIND_OF: Readonly<Record<string, ProblemKind>> = {
  WB120: 'untrained',
  WB127: 'stop',
  WB126: 'cut',
  WB121: 'straddling',
  WB136: 'filler'
};

/** Kind of a finding; null for a note, which is no problem. */
export function kindOf(finding: Finding): ProblemKind | null {
  return finding.severity === 'info' ? null : (KIND_OF[finding.code] ?? 'other');
}

export function kindName(kind: ProblemKind, trans: Trans): string {
  const names: Readonly<Record<ProblemKind, string>> = {
    untrained: trans.__('No trained token'),
    stop: trans.__('Stop token untrained'),
    cut: trans.__('Cut inside an answer'),
    straddling: trans.__('Token over an edge'),
    filler: trans.__('Media or padding trained'),
    other: trans.__('Other')
  };
  return names[kind];
}
