/**
 * Every text that people read goes through the translator, and every msgid is a plain literal (else no catalogue has it).
 *
 * `node labextension/translated.mjs [folder]` prints one JSON array of faults: `{ file, line, fault, text }`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

const READ_ATTRIBUTES = new Set([
  'alt',
  'aria-description',
  'aria-label',
  'aria-placeholder',
  'aria-roledescription',
  'aria-valuetext',
  'placeholder',
  'title'
]);
const READ_PROPERTIES = new Set([
  'alt',
  'ariaDescription',
  'ariaLabel',
  'innerText',
  'placeholder',
  'textContent',
  'title'
]);
const READ_CALLS = new Set(['append', 'createTextNode', 'prepend', 'replaceChildren', 'replaceWith', 'say']);
const MAKERS = new Set(['h', 'svg']);
const WORD = /\p{L}{2,}/u;
const PIECE = /(^|\s)(?!px\b)\p{L}{2,}[,.:;]?(\s|$)/u;
const PROSE = /^[A-Z][a-z]+$|\p{L}{2,}[,.:;]?\s+\p{L}{2,}|\p{L}{3,}[.!?…]$/u;

const named = node => (ts.isPropertyAccessExpression(node) ? node.name.text : ts.isIdentifier(node) ? node.text : '');
const isText = node => ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node);
const isTranslation = node => ts.isCallExpression(node) && ['__', '_n', '_p', '_np'].includes(named(node.expression));

/** The texts an expression may come to; what is inside a call is that call's business. */
function texts(node) {
  if (isText(node)) {
    return [node];
  }
  if (ts.isTemplateExpression(node)) {
    return [node.head, ...node.templateSpans.flatMap(span => [...texts(span.expression), span.literal])];
  }
  if (ts.isConditionalExpression(node)) {
    return [...texts(node.whenTrue), ...texts(node.whenFalse)];
  }
  if (ts.isBinaryExpression(node) && /^(\+|\?\?|\|\|)$/.test(node.operatorToken.getText())) {
    return [...texts(node.left), ...texts(node.right)];
  }
  if (ts.isArrayLiteralExpression(node)) {
    return node.elements.flatMap(texts);
  }
  return ts.isParenthesizedExpression(node) || ts.isSpreadElement(node) ? texts(node.expression) : [];
}

function attributes(node) {
  return ts.isObjectLiteralExpression(node)
    ? node.properties
        .filter(entry => ts.isPropertyAssignment(entry) && READ_ATTRIBUTES.has(entry.name.text))
        .flatMap(entry => texts(entry.initializer))
    : [];
}

/** Texts that are put where people read them. */
function shown(node) {
  if (ts.isBinaryExpression(node) && ts.isPropertyAccessExpression(node.left)) {
    return READ_PROPERTIES.has(node.left.name.text) ? texts(node.right) : [];
  }
  if (!ts.isCallExpression(node)) {
    return [];
  }
  const { arguments: given } = node;
  if (MAKERS.has(named(node.expression))) {
    return [...(given[1] ? attributes(given[1]) : []), ...given.slice(2).flatMap(texts)];
  }
  if (named(node.expression) === 'setAttribute' && READ_ATTRIBUTES.has(given[0]?.text)) {
    return texts(given[1]);
  }
  return READ_CALLS.has(named(node.expression)) ? given.flatMap(texts) : [];
}

/** Is a text one that only the program reads: a name of a module, a type, a key, a class? */
function isForTheProgram(node) {
  const { parent } = node;
  return (
    ts.isImportDeclaration(parent) ||
    ts.isExportDeclaration(parent) ||
    ts.isLiteralTypeNode(parent) ||
    ts.isCaseClause(parent) ||
    (ts.isBinaryExpression(parent) && /^[!=]==$/.test(parent.operatorToken.getText())) ||
    (ts.isPropertyAssignment(parent) && (parent.name === node || parent.name.text === 'class')) ||
    /(^|\s)wb-/.test(node.text)
  );
}

function faultsIn(file, source) {
  const found = new Map();
  const tell = (node, fault) => {
    const { line } = source.getLineAndCharacterOfPosition(node.getStart());
    found.set(node.pos, { file, line: line + 1, fault, text: node.text ?? node.getText() });
  };
  const visit = node => {
    if (isTranslation(node)) {
      const count = named(node.expression).includes('n') ? 2 : 1;
      node.arguments
        .slice(0, count)
        .filter(id => !isText(id))
        .forEach(id => tell(id, 'msgid is no literal'));
      node.arguments.slice(count).forEach(visit);
      return;
    }
    shown(node)
      .filter(text => WORD.test(text.text))
      .forEach(text => tell(text, 'shown, not translated'));
    const isPiece = ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node);
    const isProse = (isText(node) && PROSE.test(node.text)) || (isPiece && PIECE.test(node.text));
    if (isProse && !isForTheProgram(node) && !found.has(node.pos)) {
      tell(node, 'prose, not translated');
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return [...found.values()];
}

const folder = process.argv[2] ?? join(import.meta.dirname, 'src');
const faults = readdirSync(folder, { recursive: true })
  .filter(name => name.endsWith('.ts'))
  .sort()
  .flatMap(name => {
    const text = readFileSync(join(folder, name), 'utf8');
    return faultsIn(name.replaceAll('\\', '/'), ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true));
  });
process.stdout.write(JSON.stringify(faults, null, 1) + '\n');
