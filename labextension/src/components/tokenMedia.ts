/** Images among tokens: one chip for all tokens of an image, and what is known of it. */
import { formatNumber, h, icon } from './component';
import type { Trans } from './component';
import { mediumText, supervisedIn } from './media';
import type { RowModel } from './rowModel';

/** What the image is, for readers and as the picture's text. */
function described(model: RowModel, token: number, trans: Trans): string {
  const medium = model.mediumAt(token);
  const size =
    medium === null || medium.width === null || medium.height === null
      ? trans.__('size not known')
      : trans.__('%1 by %2 pixels', medium.width, medium.height);
  return trans.__('Image, %1', size);
}

function countOf(model: RowModel, token: number): number {
  const medium = model.mediumAt(token);
  return medium === null ? 0 : medium.end - medium.start;
}

/** Fill a token's element with picture, placeholder and count; trained image tokens are an error with a sign. */
export function drawMedium(node: HTMLElement, model: RowModel, token: number, trans: Trans): HTMLElement {
  const medium = model.mediumAt(token);
  const trained = supervisedIn(model, token);
  node.classList.toggle('wb-supervised', trained > 0);
  if (medium !== null && medium.thumbnail !== null) {
    node.append(h('img', { class: 'wb-thumb', src: medium.thumbnail, alt: described(model, token, trans) }));
  }
  node.append(document.createTextNode(mediumText(model, token)));
  if (trained > 0) {
    node.title = trans.__('%1 image tokens are trained', formatNumber(trained));
    node.append(icon('cross', 'wb-in'));
  } else if (model.isProblem(token)) {
    node.append(icon('warning', 'wb-in'));
  }
  return node;
}

/** What an image's chip is called in a sentence. */
export function spokenMedium(model: RowModel, token: number, trans: Trans): string {
  const trained = supervisedIn(model, token);
  const state = trained > 0 ? trans.__('%1 of them trained', formatNumber(trained)) : trans.__('masked');
  return trans.__('%1, %2 tokens, %3', described(model, token, trans), formatNumber(countOf(model, token)), state);
}

/** The image in the inspector: a larger picture, its size, how many tokens it takes. */
export function mediumFigure(model: RowModel, token: number, trans: Trans): HTMLElement | null {
  const medium = model.mediumAt(token);
  if (medium === null) {
    return null;
  }
  const words = described(model, token, trans);
  const trained = supervisedIn(model, token);
  const count = formatNumber(countOf(model, token));
  return h(
    'figure',
    { class: 'wb-medium' },
    medium.thumbnail === null
      ? h('div', { class: 'wb-nothumb wb-sub' }, trans.__('no picture on this machine'))
      : h('img', { src: medium.thumbnail, alt: words }),
    h(
      'figcaption',
      {},
      h('div', {}, words),
      h('div', {}, trans.__('%1 tokens, %2 to %3', count, medium.start, medium.end - 1)),
      trained === 0
        ? h('div', { class: 'wb-sub' }, trans.__('none of them trained'))
        : h('div', { class: 'wb-alarm' }, icon('cross'), trans.__('%1 of them trained', formatNumber(trained)))
    )
  );
}
