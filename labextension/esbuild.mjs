// Bundle each anywidget module, and one style sheet for all of them, into workbench/static.
import { build } from 'esbuild';

await build({
  entryPoints: {
    tokens: 'labextension/src/widgets/tokens.ts',
    picker: 'labextension/src/widgets/picker.ts',
    run: 'labextension/src/widgets/run.ts',
    widgets: 'labextension/style/widgets.css'
  },
  bundle: true,
  format: 'esm',
  target: 'es2022',
  charset: 'utf8',
  legalComments: 'none',
  minify: process.argv.includes('--minify'),
  outdir: 'workbench/static',
  logLevel: 'warning'
});
