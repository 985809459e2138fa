/**
 * Renderers of our mime types. They stay inert: a view shows what is in the output, a run card goes live by itself only in a
 * trusted notebook.
 */
import { URLExt } from '@jupyterlab/coreutils';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { ServerConnection } from '@jupyterlab/services';

import { extension } from './cardRenderer';
import type { Kind } from './cardRenderer';
import { pairCard } from './components/pairCard';
import { batchCard } from './components/batchCard';
import { fitBar } from './components/fitBar';
import { rolloutsCard } from './components/rolloutsCard';
import { runCard } from './components/runCard';
import { tokenViewer } from './components/tokenViewer';
import { xray } from './components/xray';
import { preferences } from './preferences';
import { restTransport } from './runs/transport';
import {
  BATCH_MIME,
  FIT_MIME,
  PAIRS_MIME,
  parseBatch,
  parseFit,
  parsePairs,
  parseRollouts,
  parseRun,
  parseTemplate,
  parseTokens,
  ROLLOUTS_MIME,
  RUN_MIME,
  TEMPLATE_MIME,
  TOKENS_MIME
} from './wire';

const tokens: Kind<ReturnType<typeof parseTokens>> = {
  mime: TOKENS_MIME,
  parse: parseTokens,
  make: (payload, _trusted, trans) => tokenViewer({ payload, spaces: preferences.spaces }, trans)
};

const batch: Kind<ReturnType<typeof parseBatch>> = {
  mime: BATCH_MIME,
  parse: parseBatch,
  make: (payload, _trusted, trans) => batchCard({ payload }, trans)
};

const run: Kind<ReturnType<typeof parseRun>> = {
  mime: RUN_MIME,
  parse: parseRun,
  make: (payload, trusted, trans) => {
    const settings = ServerConnection.makeSettings();
    const transport = restTransport(payload.id, (path, init) =>
      ServerConnection.makeRequest(URLExt.join(settings.baseUrl, 'finetune-workbench', path), init, settings)
    );
    return runCard({ payload, live: payload.live && trusted && preferences.followRuns, transport }, trans);
  }
};

const pairs: Kind<ReturnType<typeof parsePairs>> = {
  mime: PAIRS_MIME,
  parse: parsePairs,
  make: (payload, _trusted, trans) => pairCard({ payload, spaces: preferences.spaces }, trans)
};

const rollouts: Kind<ReturnType<typeof parseRollouts>> = {
  mime: ROLLOUTS_MIME,
  parse: parseRollouts,
  make: (payload, _trusted, trans) => rolloutsCard({ payload, spaces: preferences.spaces }, trans)
};

const fit: Kind<ReturnType<typeof parseFit>> = {
  mime: FIT_MIME,
  parse: parseFit,
  make: (payload, _trusted, trans) => fitBar({ payload }, trans)
};

const template: Kind<ReturnType<typeof parseTemplate>> = {
  mime: TEMPLATE_MIME,
  parse: parseTemplate,
  make: (payload, _trusted, trans) => xray(payload, trans)
};

const extensions: IRenderMime.IExtension[] = [
  extension('tokens', 'Shows what each token of a row is and whether it is trained.', tokens),
  extension('pairs', 'Shows two answers to one prompt side by side.', pairs),
  extension('batch', 'Shows a batch as lanes of documents, and whether the model received it.', batch),
  extension('rollouts', 'Shows completions of a prompt with rewards and advantages.', rollouts),
  extension('fit', 'Shows whether a run fits into the memory of a card, and what would make it fit.', fit),
  extension('run', 'Shows a training run.', run),
  extension('template', 'Shows which line of a chat template wrote what.', template)
];

export default extensions;
