// The outermost functions of JavaScript and TypeScript files as TypeScript's own parser finds them; for
// check_functions_against_ctags.py.
//
// usage: node functions_of_typescript.js MODULE < LIST_OF_FILES
//
// Prints a JSON list of [name, first line, last line] for each file. What counts is what docs/encodings.md says.

const fs = require("fs");
const ts = require(process.argv[2]);
const { SyntaxKind } = ts;

const isFunction = (node) => node && (ts.isArrowFunction(node) || ts.isFunctionExpression(node));

function nameOf(name) {
  if (!name) return null;
  return ts.isStringLiteral(name) ? name.text : name.getText();
}

/** [name, the node it extends over] of a function; null for what is none. */
function unit(node) {
  switch (node.kind) {
    case SyntaxKind.FunctionDeclaration:
      return node.body && [nameOf(node.name), node];
    case SyntaxKind.MethodDeclaration:
    case SyntaxKind.GetAccessor:
    case SyntaxKind.SetAccessor: {
      const isAbstract = (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Abstract) !== 0;
      return (node.body || isAbstract) && [nameOf(node.name), node];
    }
    case SyntaxKind.Constructor:
      return node.body && ["constructor", node];
    case SyntaxKind.MethodSignature:
      return ts.isInterfaceDeclaration(node.parent) && [nameOf(node.name), node];
    case SyntaxKind.PropertyAssignment:
    case SyntaxKind.PropertyDeclaration:
      return isFunction(node.initializer) && [nameOf(node.name), node];
    case SyntaxKind.VariableDeclaration: {
      if (!isFunction(node.initializer) || !ts.isIdentifier(node.name)) return null;
      const list = node.parent;
      const alone = list.declarations.length === 1 && ts.isVariableStatement(list.parent);
      return [nameOf(node.name), alone ? list.parent : node];
    }
    case SyntaxKind.ExpressionStatement: {
      let value = node.expression;
      let name = null;
      while (ts.isBinaryExpression(value) && value.operatorToken.kind === SyntaxKind.EqualsToken) {
        const { left } = value;
        name = ts.isIdentifier(left) ? left : ts.isPropertyAccessExpression(left) ? left.name : null;
        value = value.right;
      }
      return name && isFunction(value) && [nameOf(name), node];
    }
    case SyntaxKind.ExportAssignment:
      return !node.isExportEquals && isFunction(node.expression) && [nameOf(node.expression.name), node];
    default:
      return null;
  }
}

function functions(path) {
  const text = fs.readFileSync(path, "utf8");
  const kind = /\.[cm]?ts$/.test(path) ? ts.ScriptKind.TS : path.endsWith(".tsx") ? ts.ScriptKind.TSX : ts.ScriptKind.JSX;
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true, kind);
  const starts = [0, ...Array.from(text.matchAll(/\n/g), (match) => match.index + 1)];
  const lineOf = (at) => {
    let [low, high] = [0, starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (starts[middle] <= at) low = middle;
      else high = middle;
    }
    return low + 1;
  };
  const found = [];
  const pending = [file];
  while (pending.length) {
    const node = pending.pop();
    const one = unit(node);
    if (one) {
      found.push([one[0], lineOf(one[1].getStart(file)), lineOf(one[1].end - 1)]);
    } else if (node.kind !== SyntaxKind.Decorator) {
      const children = [];
      ts.forEachChild(node, (child) => void children.push(child));
      pending.push(...children.reverse());
    }
  }
  return found;
}

const files = fs.readFileSync(0, "utf8").split("\n").filter(Boolean);
console.log(JSON.stringify(files.map(functions)));
