/** Copies of tokens: what is selected, and texts put on the clipboard. */
import { textOf } from './byteGroups';
import type { Trans } from './component';
import type { RowModel } from './rowModel';
import type { CopyFormat, TokenRows } from './tokenRows';

/** Characters of the tokens that the selection touches; null where it touches none. */
export function copiedText(grid: HTMLElement, model: RowModel): string | null {
  const range = getSelection()?.rangeCount === 1 ? getSelection()?.getRangeAt(0) : undefined;
  if (range === undefined || range.collapsed) {
    return null;
  }
  const touched = [...grid.querySelectorAll<HTMLElement>('.wb-tline [data-i]')].filter(node =>
    range.intersectsNode(node)
  );
  const tokens = touched.map(node => Number(node.dataset['i']));
  const last = Math.max(...tokens);
  let text = '';
  for (let token = Math.min(...tokens); token <= last; token += 1) {
    text += textOf(model.row, token);
  }
  return tokens.length === 0 ? null : text;
}

/**
 * Put a text on the clipboard, also where a page may not write to it by itself.
 *
 * HTML goes there in both forms, so that it pastes as a picture of the row and as its source.
 */
async function toClipboard(text: string, isHtml: boolean, trans: Trans): Promise<void> {
  try {
    if (isHtml && typeof ClipboardItem !== 'undefined') {
      const part = (type: string): Blob => new Blob([text], { type });
      const item = new ClipboardItem({ 'text/html': part('text/html'), 'text/plain': part('text/plain') });
      await navigator.clipboard.write([item]);
    } else {
      await navigator.clipboard.writeText(text);
    }
  } catch {
    byHand(text, trans);
  }
}

/** Through the page's own copy command. */
function byHand(text: string, trans: Trans): void {
  const before = document.activeElement;
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'wb-vh';
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  if (before instanceof HTMLElement) {
    before.focus();
  }
  if (!done) {
    throw new Error(trans.__('The browser lets nothing onto its clipboard.'));
  }
}

/** Put a row on the clipboard; gives how many characters that were. */
export async function copyRow(rows: TokenRows, position: number, format: CopyFormat, trans: Trans): Promise<number> {
  const text = await rows.copy(position, format);
  await toClipboard(text, format === 'html', trans);
  return text.length;
}
