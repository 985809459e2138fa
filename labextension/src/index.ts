/** The plugin: carries what components ask for to the notebook around them, and adds commands and settings. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import type { TranslationBundle } from '@jupyterlab/translation';

import { addCommands } from './commands';
import { REQUEST_EVENT } from './components/askKernel';
import type { RequestDetail } from './components/askKernel';
import { KernelRows } from './kernelRows';
import { insertBelow, placeOf } from './notebookCells';
import { preferences } from './preferences';

const PLUGIN_ID = 'finetune-workbench:plugin';

/** The node that dispatched the event: our components dispatch composed events. */
function origin(event: Event): Node | null {
  const [first] = event.composedPath();
  return first instanceof Node ? first : null;
}

function isRequest(event: Event): event is CustomEvent<RequestDetail> {
  return event instanceof CustomEvent && event.type === REQUEST_EVENT;
}

function codeOf(event: Event): string | null {
  if (!(event instanceof CustomEvent)) {
    return null;
  }
  const detail: unknown = event.detail;
  if (typeof detail !== 'object' || detail === null || !('code' in detail)) {
    return null;
  }
  return typeof detail.code === 'string' ? detail.code : null;
}

function listenToComponents(notebooks: INotebookTracker, trans: TranslationBundle): void {
  const rows = new KernelRows(trans);
  document.addEventListener('wb-insert-code', event => {
    const node = origin(event);
    const code = codeOf(event);
    const place = node === null ? null : placeOf(node, notebooks);
    if (code !== null && place !== null && insertBelow(place, code)) {
      event.preventDefault();
    }
  });
  document.addEventListener(REQUEST_EVENT, event => {
    const node = origin(event);
    const kernel = node === null ? null : (placeOf(node, notebooks)?.panel.sessionContext.session?.kernel ?? null);
    if (kernel !== null && isRequest(event)) {
      event.preventDefault();
      rows.ask(kernel, event.detail);
    }
  });
}

async function followSettings(registry: ISettingRegistry): Promise<void> {
  const settings = await registry.load(PLUGIN_ID);
  const read = (): void => {
    preferences.followRuns = settings.get('followRuns').composite !== false;
    preferences.spaces = settings.get('spaces').composite !== false;
  };
  settings.changed.connect(read);
  read();
}

const plugin: JupyterFrontEndPlugin<void> = {
  id: PLUGIN_ID,
  description: 'Rows for token views, cells for code lines, commands and settings.',
  autoStart: true,
  optional: [INotebookTracker, ICommandPalette, ITranslator, ISettingRegistry],
  activate: async (
    app: JupyterFrontEnd,
    notebooks: INotebookTracker | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null,
    registry: ISettingRegistry | null
  ) => {
    if (notebooks !== null) {
      const trans = (translator ?? nullTranslator).load('finetune_workbench');
      listenToComponents(notebooks, trans);
      addCommands(app, notebooks, palette, trans);
    }
    if (registry !== null) {
      await followSettings(registry);
    }
  }
};

export default plugin;
