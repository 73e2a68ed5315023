/**
 * A process that holds a home goes on while its files are replaced, so nothing it needs may be loaded late. Node asks the disk for a
 * module even when it has it, unless the same file has imported it before.
 */
import { expect, test } from 'vitest'
import { packageRoot } from '../../src/build.ts'
import { readTree, type Tree } from '../tidy/tree.ts'

/** Imports that stand in functions, and why each is none that can come too late. */
const KNOWN: Readonly<Record<string, string>> = {
  'src/cli/run.ts: ../plans/plan-file.ts': 'before the home is held',
  'src/cli/run.ts: ../plans/problem.ts': 'before the home is held',
  'src/cli/run.ts: ../http/server.ts': 'before the home is held',
  'src/cli/inspect.ts: ../inspector/serve.ts': 'before the home is held, and only with --inspect',
  'src/cli/home.ts: ../runtime.ts': 'before the home is held',
  'src/cli/home.ts: ../unserved.ts': 'only where nobody holds the home, nor will, or another does',
  'src/cli/home.ts: ../plans/define-plan.ts': 'only where another holds the home',
  'src/cli/home.ts: ../http/client.ts': 'to ask who holds the home; who has asked nobody holds it alone',
  'src/cli/paragraph.ts: string-width': 'only its type; what it does is loaded once, by loadWidths',
  'src/cli/home.ts: ../backup.ts': 'only `backup` and `restore` come here',
  'src/cli/views.ts: log-update': 'once, by loadTable',
  'src/http/server.ts: fastify': 'once, by loadServer',
  'src/http/server.ts: ./plans.ts': 'once, by loadServer',
  'src/http/server.ts: ./events.ts': 'once, by loadServer',
  'src/http/server.ts: ./letters.ts': 'once, by loadServer',
  'src/http/server.ts: ./daemon.ts': 'once, by loadServer',
  'src/http/server.ts: ./metrics.ts': 'once, by loadServer',
  'src/http/server.ts: ./reference.ts': 'once, by loadServer',
  'src/log.ts: pino': 'first when the home is opened, and always by this file',
}

const reachedFrom = (tree: Tree, entry: string): ReadonlySet<string> => {
  const reached = new Set<string>()
  const reach = (path: string): void => {
    if (reached.has(path)) return
    reached.add(path)
    for (const { target, onlyTypes } of tree.get(path)?.imports ?? [])
      if (target !== null && !onlyTypes) reach(target)
  }
  reach(entry)
  return reached
}

test('whatever a run may need is loaded before a plan is touched', () => {
  const tree = readTree(packageRoot(), ['src'])
  const late = [...reachedFrom(tree, 'src/cli/run.ts')].flatMap((path) => {
    const { code = '', text = '' } = tree.get(path) ?? {}
    return [...code.matchAll(/\bimport\s*\(\s*(?=(['"`])( *)\1)/g)].map((call) => {
      const at = call.index + call[0].length + 1
      return `${path}: ${text.slice(at, at + (call[2]?.length ?? 0))}`
    })
  })

  expect(
    [...new Set(late)].sort(),
    'load it before the home is held (src/cli/run.ts, loadServer), or import it at the top; then say here why it cannot come too late',
  ).toEqual(Object.keys(KNOWN).sort())
})
