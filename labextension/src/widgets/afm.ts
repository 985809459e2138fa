/**
 * The part of anywidget's front-end module format that our widgets use (anywidget 0.11: `signal` aborts with the view).
 */
export interface WidgetModel {
  get(name: string): unknown;
  on(name: string, listener: (...args: unknown[]) => void): void;
  off(name: string, listener: (...args: unknown[]) => void): void;
  send(content: unknown): void;
}

export interface RenderContext {
  readonly model: WidgetModel;
  readonly el: HTMLElement;
  readonly signal?: AbortSignal;
}

export interface WidgetModule {
  render(context: RenderContext): () => void;
}

/** Run `listener` on an event of the model until the returned function is called. */
export function listenTo(model: WidgetModel, name: string, listener: (...args: unknown[]) => void): () => void {
  model.on(name, listener);
  return () => model.off(name, listener);
}
