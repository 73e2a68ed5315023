/**
 * The house rules. Each is a function from the tree to what breaks it, each finding a sentence that names file and remedy.
 */
import { basename } from 'node:path'
import type { Import, SourceFile, Tree } from './tree.ts'

/** Where the program is entered; a file of `src` that none of them reaches is dead. */
export const entryPoints = [
  'src/index.ts',
  'src/testing.ts',
  'src/supervisor/index.ts',
  'src/cli/main.ts',
  'src/runner/main.ts',
  'src/analytics/main.ts',
]

/** Files that may use what the clock, the environment and chance would hide from a test. */
const clockFiles = ['src/clock.ts', 'src/runner/clock.ts']
const environmentFiles = ['src/config.ts', 'src/runner/main.ts']
const chanceFiles = ['src/ids.ts']
/** Files that make the folders of a home, and that of sockets whose home has too long a path. */
const folderFiles = ['src/home-place.ts', 'src/socket.ts']

type Floor = Readonly<{
  floors: readonly string[]
  /** Floors of which only types may be imported. */
  types?: readonly string[]
  /** Packages, exact or with `/*` for a scope; `node:*` is every module of Node. */
  packages: readonly string[]
}>

const upstairs = [
  'backup',
  'catalog',
  'explaining',
  'feed',
  'index',
  'inspecting',
  'sweep',
  'retention',
  'runtime',
  'testing',
  'tree',
  'unserved',
].map((name) => `src/${name}.ts`)
const pure = ['node:assert']

/** `architecture.md` 8. A floor may import itself and what is listed; type-only imports count. */
const floors: Readonly<Record<string, Floor>> = {
  leaves: { floors: [], packages: ['node:*'] },
  machines: { floors: ['leaves'], packages: ['xstate', ...pure] },
  plans: { floors: ['leaves'], types: ['machines'], packages: ['node:*', 'yaml', 'zod'] },
  journal: { floors: ['leaves'], packages: ['node:*'] },
  supervisor: { floors: ['leaves'], packages: ['xstate', ...pure] },
  views: { floors: ['leaves'], types: ['journal'], packages: ['@xstate/store'] },
  runner: { floors: ['leaves'], packages: ['node:*'] },
  analytics: { floors: ['leaves', 'journal'], packages: ['node:*'] },
  audit: { floors: ['leaves', 'journal'], packages: ['node:*'] },
  actors: {
    floors: ['leaves', 'machines', 'journal', 'views', 'supervisor'],
    packages: ['node:*', 'xstate', '@xstate/store'],
  },
  runtime: {
    floors: ['leaves', 'machines', 'plans', 'journal', 'supervisor', 'views', 'audit', 'actors'],
    packages: ['node:*', 'xstate', '@xstate/store', '@opentelemetry/api'],
  },
  http: {
    floors: ['leaves', 'runtime', 'views', 'plans'],
    packages: ['node:*', 'fastify', '@fastify/*', 'prom-client', 'zod'],
  },
  inspector: {
    floors: ['leaves', 'runtime'],
    packages: ['node:*', '@statelyai/inspect', 'ws'],
  },
  cli: {
    floors: ['leaves', 'plans', 'views', 'http', 'inspector', 'audit', 'runtime'],
    packages: ['node:*', 'commander', 'log-update', 'picocolors', 'string-width', '@xstate/store'],
  },
  web: { floors: ['views'], types: ['http'], packages: ['react', 'react-dom', '@base-ui/*', '@xyflow/*'] },
}

/** The floor a file of `src` stands on; null for a folder no row of the table names. */
export function floorOf(path: string): string | null {
  if (upstairs.includes(path) || path.startsWith('src/testing/')) return 'runtime'
  const folder = path.match(/^src\/([^/]+)\//)?.[1]
  if (folder === undefined) return path.startsWith('src/') ? 'leaves' : null
  return Object.hasOwn(floors, folder) ? folder : null
}

/** Every import of `src` goes to the same floor or one that the table allows. */
export function floorsHold(tree: Tree): string[] {
  return sources(tree).flatMap((file) => {
    const name = floorOf(file.path)
    const floor = name === null ? undefined : floors[name]
    if (name === null || floor === undefined) {
      return [
        `${file.path}: no floor is called so; put the file on a floor of test/tidy/rules.ts, or add the row`,
      ]
    }
    return file.imports.flatMap((each) => {
      if (each.target === null) return packageFinding(file, name, floor, each)
      const other = floorOf(each.target)
      if (other === name || (other !== null && floor.floors.includes(other))) return []
      if (other !== null && each.onlyTypes && floor.types?.includes(other)) return []
      return [
        `${file.path}: ${name} may not import ${each.target}; move what it needs down to a leaf, or pass it in as a port`,
      ]
    })
  })
}

function packageFinding(file: SourceFile, name: string, floor: Floor, { specifier }: Import): string[] {
  if (specifier.startsWith('.')) return []
  const isGranted = floor.packages.some((granted) =>
    granted === 'node:*' || granted.endsWith('/*')
      ? specifier.startsWith(granted.slice(0, -1))
      : specifier === granted || specifier.startsWith(`${granted}/`),
  )
  const isLogger = specifier === 'pino' && file.path === 'src/log.ts'
  if (isGranted || isLogger) return []
  return [`${file.path}: ${name} may not import ${specifier}; use it on a floor that may, behind a port`]
}

/**
 * Only the executor, the owner of analytics, the runner and the command line start processes; `src/process.ts` asks the
 * system about processes where only a command knows.
 */
export function processesHaveOwners(tree: Tree): string[] {
  const owners =
    /^src\/(?:process\.ts$|actors\/(?:executor|analytics)\.ts$|runner\/|cli\/|plans\/plan-module\.ts$)/
  return sources(tree)
    .filter((file) => !owners.test(file.path))
    .filter((file) =>
      file.imports.some(({ specifier }) => /^(?:node:)?(?:child_process|cluster)$/.test(specifier)),
    )
    .map(
      (file) =>
        `${file.path}: starts processes; ask the executor (src/actors/executor.ts), or move it to src/cli`,
    )
}

/** The command line meets the runtime in one file. */
export function runtimeHasOneDoor(tree: Tree): string[] {
  const doors = sources(tree).filter(
    (file) =>
      floorOf(file.path) === 'cli' && file.imports.some((each) => floorOf(each.target ?? '') === 'runtime'),
  )
  if (doors.length < 2) return []
  return doors.map(
    (file) => `${file.path}: imports the runtime, and so do others of src/cli; go through one of them`,
  )
}

/** No file imports itself by way of others. */
export function noCycles(tree: Tree): string[] {
  const findings: string[] = []
  const done = new Set<string>()
  const visit = (path: string, trail: readonly string[]): void => {
    const from = trail.indexOf(path)
    if (from !== -1) {
      const cycle = [...trail.slice(from), path].join(' → ')
      findings.push(`${path}: imports itself (${cycle}); move what both need into a file below them`)
      return
    }
    if (done.has(path)) return
    for (const each of tree.get(path)?.imports ?? [])
      if (each.target !== null) visit(each.target, [...trail, path])
    done.add(path)
  }
  for (const path of tree.keys()) visit(path, [])
  return findings
}

/** Every file of `src` is reached from an entry point. */
export function noDeadFiles(tree: Tree): string[] {
  const missing = entryPoints.filter((path) => !tree.has(path))
  const reached = new Set<string>()
  const reach = (path: string): void => {
    if (reached.has(path)) return
    reached.add(path)
    for (const each of tree.get(path)?.imports ?? []) if (each.target !== null) reach(each.target)
  }
  entryPoints.forEach(reach)
  return [
    ...missing.map(
      (path) => `${path}: is an entry point and does not exist; write it, or mend test/tidy/rules.ts`,
    ),
    ...sources(tree)
      .filter((file) => !reached.has(file.path))
      .map((file) => `${file.path}: no entry point reaches it; import it where it is needed, or delete it`),
  ]
}

/** Relative imports name a file that exists, with its ending. */
export function importsResolve(tree: Tree): string[] {
  return [...tree.values()].flatMap((file) =>
    file.imports
      .filter(({ specifier }) => specifier.startsWith('.') && !/\.(?:json|cjs|sql|css|html)$/.test(specifier))
      .filter(({ specifier }) => !specifier.endsWith('/'))
      .flatMap(({ specifier, target }) => {
        if (!specifier.endsWith('.ts')) return [`${file.path}: imports ${specifier}; write the ending .ts`]
        return target === null
          ? [`${file.path}: imports ${specifier}, which does not exist; mend the path`]
          : []
      }),
  )
}

/** A home that was removed or moved, in whatever moment, is not made again by who works in it. */
export function homeIsNotMadeAgain(tree: Tree): string[] {
  return uses(sources(tree), folderFiles, 'make it with makeFolders of src/home-place.ts', [
    [/\bmkdir(?:Sync)?\s*\(/, 'mkdir'],
  ])
}

/** Time is a port: nothing but the clock file asks for it. */
export function clockIsAPort(tree: Tree): string[] {
  return uses(sources(tree), clockFiles, 'take it from src/clock.ts (in the runner: src/runner/clock.ts)', [
    [/\bDate\s*\.\s*now\b/, 'Date.now'],
    [/\bnew Date\s*(?:\(\s*\)|(?![\s(]))/, 'new Date()'],
    [/\bperformance\s*\.\s*now\b/, 'performance.now'],
    [/\bprocess\s*\.\s*(?:hrtime|uptime)\b/, 'process.hrtime'],
    [/(?:(?<![.\w])|\bglobalThis\s*\.\s*)set(?:Timeout|Interval)\s*\(/, 'a timer'],
    [/\bAbortSignal\s*\.\s*timeout\b/, 'AbortSignal.timeout'],
  ]).concat(
    sources(tree)
      .filter((file) => !clockFiles.includes(file.path))
      .filter((file) =>
        file.imports.some(({ specifier }) => /^(?:node:)?(?:timers|perf_hooks)\b/.test(specifier)),
      )
      .map((file) => `${file.path}: imports timers of Node; take a Clock (src/clock.ts) instead`),
  )
}

/** The environment is read in one place and handed on as configuration. */
export function environmentIsConfig(tree: Tree): string[] {
  const pattern = /\bprocess\s*(?:\.\s*env\b|\[\s*['"]\s*env)|\{[^{}]*\benv\b[^{}]*\}\s*=\s*process\b/
  return uses(sources(tree), environmentFiles, 'take the value from src/config.ts', [
    [pattern, 'process.env'],
  ])
}

/** Chance is a port, so that a seed replays a life. */
export function chanceIsAPort(tree: Tree): string[] {
  return uses(sources(tree), chanceFiles, 'take ids and chance from a port (src/ids.ts)', [
    [/\bMath\s*\.\s*random\b/, 'Math.random'],
  ])
}

/** Only the command line writes to the console. */
export function consoleIsForTheCli(tree: Tree): string[] {
  const others = sources(tree).filter((file) => floorOf(file.path) !== 'cli')
  return uses(others, [], 'log, or return it', [[/\bconsole\s*\./, 'console']])
}

/** A file is named by its noun. */
export function filesAreNouns(tree: Tree): string[] {
  const banned = /(?:^|[-.])(?:utils?|helpers?|common|managers?|services?|misc)(?:[-.]|$)/
  return [...tree.keys()]
    .filter((path) => banned.test(basename(path, '.ts')))
    .map(
      (path) => `${path}: says nothing about what is in it; name it by the noun it holds, or take it apart`,
    )
}

/** No test runs alone, and none is tried until it passes. */
export function testsRunOnceAndAll(tree: Tree): string[] {
  return uses(tests(tree), [], 'remove it', [
    [/\b(?:test|it|describe|suite)(?:\s*\.\s*\w+)*\s*\.\s*only\b/, '.only'],
    [/\bretry:\s*\d*[1-9]/, 'a retry of a test'],
  ])
}

/** A flag of a command that no test gives is one that nobody may read. */
export function flagsAreTried(tree: Tree): string[] {
  const table = tree.get('src/cli/main.ts')?.text ?? ''
  const tried = [...tree.values()].filter(({ path }) => path.startsWith('test/')).map(({ text }) => text)
  const flags = [...table.matchAll(/'(?:(-\w), )?(--[a-z-]+)(?: [<[][^']*)?'/g)]
  return [...new Map(flags.map(([, short, long]) => [long as string, short]))].flatMap(([long, short]) => {
    const given = new RegExp(`['"\`\\s](?:${long}(?![a-z-])${short ? `|${short}['"\`\\s]` : ''})`)
    return tried.some((text) => given.test(text))
      ? []
      : [`src/cli/main.ts: no test gives ${long}; give it to the command, and look at what it changes`]
  })
}

/** A name means one test. */
export function testNamesAreUnique(tree: Tree): string[] {
  return tests(tree).flatMap((file) => {
    const calls = [...file.code.matchAll(/(?<![.\w])(?:test|it)(?:\s*\.\s*\w+)*\s*\(\s*(?=['"`])/g)]
    const names = calls.flatMap((call) => {
      const at = call.index + call[0].length
      const name = /^(['"`])((?:\\.|(?!\1)[^\\])*)\1/.exec(file.text.slice(at))?.[2]
      return name === undefined || name.includes('${') ? [] : [name]
    })
    const twice = new Set(names.filter((name, index) => names.indexOf(name) !== index))
    return [...twice].map(
      (name) => `${file.path}: two tests are called "${name}"; name each by its own promise`,
    )
  })
}

const sources = (tree: Tree): SourceFile[] => [...tree.values()].filter(({ path }) => path.startsWith('src/'))

const tests = (tree: Tree): SourceFile[] =>
  [...tree.values()].filter(
    ({ path }) => path.startsWith('test/') && /\.(?:test|suite|test-d)\.ts$/.test(path),
  )

function uses(
  files: readonly SourceFile[],
  allowed: readonly string[],
  remedy: string,
  patterns: readonly (readonly [RegExp, string])[],
): string[] {
  return files
    .filter((file) => !allowed.includes(file.path))
    .flatMap((file) =>
      patterns.flatMap(([pattern, what]) => {
        const at = file.code.search(pattern)
        if (at === -1) return []
        const line = file.code.slice(0, at).split('\n').length
        return [`${file.path}:${line}: uses ${what}; ${remedy}`]
      }),
    )
}
