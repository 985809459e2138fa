/** Where in which notebook a DOM node stands, and new cells below it. */
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';

export interface Place {
  readonly panel: NotebookPanel;
  /** Index of the cell that holds the node. */
  readonly cell: number;
}

/** The cell around a node; for an output shown elsewhere, the active cell of the current notebook. */
export function placeOf(node: Node, notebooks: INotebookTracker): Place | null {
  const panel = notebooks.find(item => item.content.node.contains(node)) ?? notebooks.currentWidget;
  if (panel === null) {
    return null;
  }
  const cell = panel.content.widgets.findIndex(item => item.node.contains(node));
  return { panel, cell: cell < 0 ? panel.content.activeCellIndex : cell };
}

/** Insert a code cell below and make it the active one; false where the notebook cannot be changed. */
export function insertBelow(place: Place, code: string): boolean {
  const { panel, cell } = place;
  const { model } = panel.content;
  if (model === null || model.readOnly) {
    return false;
  }
  model.sharedModel.insertCell(cell + 1, { cell_type: 'code', source: code, metadata: { trusted: true } });
  panel.content.deselectAll();
  panel.content.activeCellIndex = cell + 1;
  const active = panel.content.activeCell;
  if (active !== null) {
    void panel.content.scrollToCell(active);
  }
  return true;
}
