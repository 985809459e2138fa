// Bundle each anywidget module, and one style sheet for all of them, into workbench/static.
import { readdirSync } from 'node:fs';

import { build } from 'esbuild';

const SOURCES = 'labextension/src/widgets';
/** Shared by the modules; no widget of their own. */
const SHARED = new Set(['afm.ts', 'card.ts']);
const modules = readdirSync(SOURCES).filter(name => name.endsWith('.ts') && !SHARED.has(name));

await build({
  entryPoints: [
    ...modules.map(name => `${SOURCES}/${name}`),
    'labextension/src/page.ts',
    'labextension/style/widgets.css',
    'labextension/style/page.css'
  ],
  entryNames: '[name]',
  bundle: true,
  format: 'esm',
  target: 'es2022',
  charset: 'utf8',
  legalComments: 'none',
  minify: process.argv.includes('--minify'),
  outdir: 'workbench/static',
  logLevel: 'warning'
});
