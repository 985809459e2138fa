import js from '@eslint/js';
import tseslint from 'typescript-eslint';

const MARKUP = 'Text of a dataset is hostile: make nodes and use textContent.';

export default tseslint.config(
  { ignores: ['labextension/lib/**', 'workbench/**', 'node_modules/**'] },
  js.configs.recommended,
  ...tseslint.configs.strict,
  {
    files: ['labextension/src/**/*.ts'],
    languageOptions: { parserOptions: { project: 'labextension/tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      complexity: ['error', 15],
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'max-lines': ['error', { max: 450 }],
      'max-params': ['error', 6],
      'no-console': 'error',
      'no-control-regex': 'off',
      'no-restricted-properties': [
        'error',
        { property: 'innerHTML', message: MARKUP },
        { property: 'outerHTML', message: MARKUP },
        { property: 'insertAdjacentHTML', message: MARKUP },
        { object: 'document', property: 'write', message: MARKUP }
      ],
      'prefer-const': 'error'
    }
  },
  {
    files: ['labextension/*.mjs', 'labextension/style/index.js'],
    languageOptions: { globals: { process: 'readonly' } }
  }
);
