// Remove everything that a build makes.
import { rm } from 'node:fs/promises';

for (const path of ['labextension/lib', 'workbench/labextension', 'workbench/static']) {
  await rm(path, { recursive: true, force: true });
}
