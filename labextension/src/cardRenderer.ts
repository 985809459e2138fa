/** A renderer of one of our mime types: parses what it is given, shows a component, or says why it cannot. */
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { Widget } from '@lumino/widgets';

import { english } from './components/component';
import type { Component, Trans } from './components/component';
import { escapeLeaves } from './components/tokenKeys';

/** Below -10, the rank of widget views, which show an error and no fallback once their kernel is gone. */
const RANK = -20;

export interface Kind<T> {
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
    escapeLeaves(this.node);
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

export function extension<T>(id: string, description: string, kind: Kind<T>): IRenderMime.IExtension {
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
