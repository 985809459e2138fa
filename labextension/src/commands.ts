/** Commands: each inserts code that a user could have typed, or moves the focus. */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import type { INotebookTracker } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReadonlyJSONObject, ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { insertBelow } from './notebookCells';

const NO_ARGUMENTS: ReadonlyJSONObject = { type: 'object', properties: {}, additionalProperties: false };

/** The first look at a data file: what it is, what of it is trained. */
function inspectionCode(path: string): string {
  return [
    'import workbench as wb',
    `data = wb.data(${JSON.stringify(path)})`,
    'enc = data.encode(wb.template("chatml"), tokenizer="path-or-id")',
    'enc'
  ].join('\n');
}

interface Entry {
  readonly id: string;
  readonly label: string;
  readonly caption: string;
  readonly args: ReadonlyJSONObject;
  run(args: ReadonlyPartialJSONObject): void;
}

export function addCommands(
  app: JupyterFrontEnd,
  notebooks: INotebookTracker,
  palette: ICommandPalette | null,
  trans: TranslationBundle
): void {
  const insert = (code: string): void => {
    const panel = notebooks.currentWidget;
    if (panel !== null) {
      insertBelow({ panel, cell: panel.content.activeCellIndex }, code);
    }
  };
  const entries: readonly Entry[] = [
    {
      id: 'finetune-workbench:inspect-data',
      label: trans.__('Look at Training Data'),
      caption: trans.__('Insert a cell that detects, encodes and shows a data file'),
      args: {
        type: 'object',
        properties: { path: { type: 'string', description: trans.__('Data file or folder') } },
        additionalProperties: false
      },
      run: args => insert(inspectionCode(typeof args['path'] === 'string' ? args['path'] : 'chats.jsonl'))
    },
    {
      id: 'finetune-workbench:insert-demo',
      label: trans.__('Insert the Demo'),
      caption: trans.__('Insert a cell that fine-tunes a tiny model on the CPU'),
      args: NO_ARGUMENTS,
      run: () => insert('import workbench as wb\nwb.demo()')
    },
    {
      id: 'finetune-workbench:list-runs',
      label: trans.__('List Runs'),
      caption: trans.__('Insert a cell that lists the training runs of this machine'),
      args: NO_ARGUMENTS,
      run: () => insert('import workbench as wb\nwb.runs()')
    },
    {
      id: 'finetune-workbench:focus-tokens',
      label: trans.__('Focus the Token View'),
      caption: trans.__('Move the focus to the first token view of the notebook'),
      args: NO_ARGUMENTS,
      run: () =>
        notebooks.currentWidget?.content.node
          .querySelector<HTMLElement>('.wb-tokens [role=gridcell][tabindex="0"]')
          ?.focus()
    }
  ];
  for (const entry of entries) {
    app.commands.addCommand(entry.id, {
      label: entry.label,
      caption: entry.caption,
      describedBy: { args: entry.args },
      isEnabled: () => notebooks.currentWidget !== null,
      execute: entry.run
    });
    palette?.addItem({ command: entry.id, category: trans.__('Fine-tune') });
  }
}
