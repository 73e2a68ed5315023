/**
 * The house linter: what no general tool knows about this house. Each finding names the file and the remedy.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { packageRoot } from '../src/build.ts'
import * as rules from './tidy/rules.ts'
import { codeOf, readTree, treeOf } from './tidy/tree.ts'

const root = packageRoot()
const tree = readTree(root, ['src', 'test', 'bench', 'scripts', 'examples'])

type Rule = (given: typeof tree) => string[]

/** Each rule with a small house that breaks it, and the file it must name. */
const planted: readonly (readonly [string, Rule, Readonly<Record<string, string>>, string])[] = [
  [
    'a floor imports only itself and the floors below it',
    rules.floorsHold,
    {
      'src/machines/job.ts': "import type { Journal } from '../journal/journal.ts'",
      'src/journal/journal.ts': '',
    },
    'src/machines/job.ts',
  ],
  [
    'a floor that may see the types of another does not import its values',
    rules.floorsHold,
    { 'src/plans/compile.ts': "import { job } from '../machines/job.ts'", 'src/machines/job.ts': '' },
    'src/plans/compile.ts',
  ],
  [
    'a floor imports only the packages it is granted',
    rules.floorsHold,
    { 'src/machines/job.ts': "import { readFile } from 'node:fs/promises'" },
    'src/machines/job.ts',
  ],
  ['a folder of src is a floor of the table', rules.floorsHold, { 'src/extras/x.ts': '' }, 'src/extras/x.ts'],
  [
    'only the owners of processes start them',
    rules.processesHaveOwners,
    { 'src/actors/slots.ts': "const { spawn } = await import('node:child_process')" },
    'src/actors/slots.ts',
  ],
  [
    'the command line meets the runtime in one file',
    rules.runtimeHasOneDoor,
    {
      'src/cli/run.ts': "import { createRuntime } from '../index.ts'",
      'src/cli/hold.ts': "import '../runtime.ts'",
      'src/index.ts': '',
      'src/runtime.ts': '',
    },
    'src/cli/hold.ts',
  ],
  [
    'no file imports itself by way of others',
    rules.noCycles,
    {
      'src/a.ts': "import type { B } from './b.ts'",
      'src/b.ts': "export * from './c.ts'",
      'src/c.ts': "const a = await import('./a.ts')",
    },
    'src/a.ts',
  ],
  [
    'every file of src is reached from an entry point',
    rules.noDeadFiles,
    { 'src/index.ts': "// import './lost.ts'", 'src/lost.ts': '' },
    'src/lost.ts',
  ],
  ['an entry point exists', rules.noDeadFiles, { 'src/index.ts': '' }, 'src/cli/main.ts'],
  ['a relative import names the ending', rules.importsResolve, { 'src/a.ts': "import './b.js'" }, 'src/a.ts'],
  ['a relative import names a file', rules.importsResolve, { 'test/a.ts': "import './b.ts'" }, 'test/a.ts'],
  [
    'only the files of the home make folders',
    rules.homeIsNotMadeAgain,
    { 'src/a.ts': 'mkdirSync(path, { recursive: true })' },
    'src/a.ts:1',
  ],
  [
    'only the clock reads wall time',
    rules.clockIsAPort,
    { 'src/a.ts': 'const at = Date.now()' },
    'src/a.ts:1',
  ],
  ['only the clock makes a date of now', rules.clockIsAPort, { 'src/a.ts': '\nf(new Date())' }, 'src/a.ts:2'],
  ['only the clock measures', rules.clockIsAPort, { 'src/a.ts': 'performance.now()' }, 'src/a.ts:1'],
  ['only the clock sets timers', rules.clockIsAPort, { 'src/a.ts': 'setTimeout(go, 5)' }, 'src/a.ts:1'],
  [
    'only the clock imports timers',
    rules.clockIsAPort,
    { 'src/a.ts': "import { setTimeout } from 'node:timers/promises'" },
    'src/a.ts',
  ],
  [
    'only config reads the environment',
    rules.environmentIsConfig,
    { 'src/cli/x.ts': 'process.env' },
    'src/cli/x.ts',
  ],
  [
    'the environment is not taken apart elsewhere either',
    rules.environmentIsConfig,
    { 'src/a.ts': 'const { env } = process' },
    'src/a.ts',
  ],
  ['chance comes from a port', rules.chanceIsAPort, { 'src/a.ts': 'Math.random()' }, 'src/a.ts'],
  [
    'only the command line uses the console',
    rules.consoleIsForTheCli,
    { 'src/a.ts': 'console.log(1)' },
    'src/a.ts',
  ],
  [
    'a file is named by its noun',
    rules.filesAreNouns,
    { 'src/journal/sql-utils.ts': '' },
    'src/journal/sql-utils.ts',
  ],
  [
    'no test runs alone',
    rules.testsRunOnceAndAll,
    { 'test/a.test.ts': "test.only('x', f)" },
    'test/a.test.ts',
  ],
  [
    'no test is tried until it passes',
    rules.testsRunOnceAndAll,
    { 'test/a.test.ts': 'f({ retry: 2 })' },
    'test/a',
  ],
  [
    'a name means one test',
    rules.testNamesAreUnique,
    { 'test/a.test.ts': "test('it holds', f)\ntest.skipIf(x)\n('y', f)\ntest(\n  'it holds', g)" },
    'it holds',
  ],
  [
    'each flag of a command is given by a test',
    rules.flagsAreTried,
    {
      'src/cli/main.ts': ".option('-x, --made-up <n>', 'say')\n.option('--made-down', 'nothing')",
      'test/a.test.ts': "run('gc', '-x', '3')",
    },
    '--made-down',
  ],
]

describe('this house keeps the rules', () => {
  const held = new Map(planted.map(([, rule]) => [rule.name, rule]))

  test.each([...held])('%s', (_name, rule) => {
    expect(rule(tree).join('\n')).toBe('')
  })
})

describe('a broken rule is found', () => {
  test.each(planted)('%s', (_promise, rule, texts, named) => {
    expect(rule(treeOf(texts)).join('\n')).toContain(named)
  })

  test('every rule has a house that breaks it', () => {
    const all = Object.entries(rules).flatMap(([name, each]) =>
      typeof each === 'function' && name !== 'floorOf' ? [name] : [],
    )

    expect(planted.map(([, rule]) => rule.name)).toEqual(expect.arrayContaining(all))
  })
})

describe('the rules see what is written', () => {
  test('the whole tree was read: every room has files, and nearly every file imports', () => {
    const files = [...tree.values()]
    const rooms = [
      'src/machines/',
      'src/plans/',
      'src/journal/',
      'src/actors/',
      'src/runner/',
      'src/cli/',
      'test/',
    ]

    for (const room of rooms)
      expect(files.filter(({ path }) => path.startsWith(room)).length, room).toBeGreaterThan(1)
    expect(files.length).toBeGreaterThan(60)
    expect(files.flatMap(({ imports }) => imports).length).toBeGreaterThan(2 * files.length)
  })

  test('comments, text and patterns are not code; what stands in a template is', () => {
    const text = [
      "const a = 'Date.now() // not a comment' // Date.now()",
      'const b = /[/\'"]Date.now/.test(x) ? 1 / 2 : `Date.now ${c({ d: `${"}"}` })} Date.now`',
      '/* Date.now() */ const e = 1',
    ].join('\n')

    const code = codeOf(text)

    expect(code).not.toContain('Date.now')
    expect(code).toContain('c({ d: `${" "}` })')
    expect(code).toContain('const e = 1')
    expect(code.length).toBe(text.length)
    expect(codeOf('`${Date.now()}`')).toContain('Date.now()')
  })

  test('imports of values, of types, of effects, of later and of neighbours are all seen', () => {
    const seen = treeOf({
      'src/a.ts': [
        "import {\n  type X,\n  y,\n} from './b.ts'",
        "import type { Z } from './b.ts'",
        "import { type W } from './b.ts'",
        "export * from './b.ts'",
        "import './b.ts'",
        "type V = import('./b.ts').V",
        "new URL('./b.ts', import.meta.url)",
        "// import { no } from './b.ts'",
        'const text = "import \'./b.ts\'"',
      ].join('\n'),
      'src/b.ts': '',
    }).get('src/a.ts')

    expect(seen?.imports.map(({ target }) => target)).toEqual(Array.from({ length: 7 }, () => 'src/b.ts'))
    expect(seen?.imports.filter(({ onlyTypes }) => onlyTypes).length).toBe(2)
  })
})

describe('what npm installs', () => {
  type Locked = Readonly<{
    resolved?: string
    link?: boolean
    hasInstallScript?: boolean
    optionalDependencies?: Readonly<Record<string, string>>
  }>
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Readonly<Record<string, Locked>>
  }
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    dependencies: Readonly<Record<string, string>>
    devDependencies: Readonly<Record<string, string>>
  }
  const locked = Object.entries(lock.packages)

  test('runs no install script', () => {
    // Some registries mark fsevents (macOS only, by way of vite), although what it publishes holds nothing to run.
    const scripted = locked.filter(
      ([path, { hasInstallScript }]) => hasInstallScript && !path.endsWith('/fsevents'),
    )

    expect(scripted.map(([path]) => path)).toEqual([])
    expect(locked.length).toBeGreaterThan(100)
  })

  test('comes from whatever registry the reader uses: the lock file names none', () => {
    const addressed = locked.filter(([, { resolved, link }]) => resolved !== undefined && !link)

    expect(addressed.map(([path]) => path)).toEqual([])
  })

  test('is the same on every platform: the lock file has every platform package', () => {
    const wanted = locked.flatMap(([, { optionalDependencies }]) => Object.keys(optionalDependencies ?? {}))
    const places = new Set(locked.map(([path]) => path.replace(/^.*node_modules\//, '')))
    const absent = wanted.filter((name) => !places.has(name))

    expect(absent, '`npm ci` refuses this lock file; run `npx node scripts/complete-lock.ts`').toEqual([])
    expect(wanted.length).toBeGreaterThan(20)
  })

  test('is named by exact versions', () => {
    const versions = Object.values({ ...manifest.dependencies, ...manifest.devDependencies })

    expect(versions.filter((version) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([])
  })
})
