/**
 * Renderers of our two mime types. They stay inert: a token view shows what is in the output, a run card goes live by
 * itself only in a trusted notebook.
 */
import { URLExt } from '@jupyterlab/coreutils';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { ServerConnection } from '@jupyterlab/services';
import { Widget } from '@lumino/widgets';

import { english } from './components/component';
import type { Component, Trans } from './components/component';
import { runCard } from './components/runCard';
import { tokenViewer } from './components/tokenViewer';
import { preferences } from './preferences';
import { restTransport } from './runs/transport';
import { parseRun, parseTokens, RUN_MIME, TOKENS_MIME } from './wire';

/** Below -10, the rank of widget views, which show an error and no fallback once their kernel is gone. */
const RANK = -20;

interface Kind<T> {
  readonly mime: string;
  parse(value: unknown): T;
  make(value: T, trusted: boolean, trans: Trans): Component<T>;
}

class CardRenderer<T> extends Widget implements IRenderMime.IRenderer {
  private component: Component<T> | null = null;

  constructor(
    private readonly kind: Kind<T>,
    private readonly trans: Trans
  ) {
    super();
    this.addClass('wb-output');
  }

  renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    try {
      const value = this.kind.parse(model.data[this.kind.mime]);
      if (this.component === null) {
        this.component = this.kind.make(value, model.trusted, this.trans);
        this.node.replaceChildren(this.component.node);
      } else {
        this.component.update(value);
      }
    } catch (error) {
      this.fail(error);
    }
    return Promise.resolve();
  }

  override dispose(): void {
    this.component?.dispose();
    this.component = null;
    super.dispose();
  }

  private fail(error: unknown): void {
    this.component?.dispose();
    this.component = null;
    const message = document.createElement('p');
    message.className = 'wb-output-error';
    message.textContent = this.trans.__(
      'This output was not written by this version of Finetune Workbench. Run the cell again. (%1)',
      error instanceof Error ? error.message : String(error)
    );
    this.node.replaceChildren(message);
  }
}

const tokens: Kind<ReturnType<typeof parseTokens>> = {
  mime: TOKENS_MIME,
  parse: parseTokens,
  make: (payload, _trusted, trans) => tokenViewer({ payload, spaces: preferences.spaces }, trans)
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

function extension<T>(id: string, description: string, kind: Kind<T>): IRenderMime.IExtension {
  return {
    id: `finetune-workbench:${id}`,
    description,
    dataType: 'json',
    rank: RANK,
    rendererFactory: {
      safe: true,
      mimeTypes: [kind.mime],
      createRenderer: options => new CardRenderer(kind, options.translator?.load('finetune_workbench') ?? english)
    }
  };
}

const extensions: IRenderMime.IExtension[] = [
  extension('tokens', 'Shows what each token of a row is and whether it is trained.', tokens),
  extension('run', 'Shows a training run.', run)
];

export default extensions;
