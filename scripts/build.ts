/**
 * Builds `dist` from `src`: compiles, copies what is not TypeScript, writes the identity of the build.
 *
 * Everything is made in a folder beside `dist` which is then renamed, so that nobody loads half a build; a process that
 * was started from the old one and loads more of itself later meets the new one, which is why a daemon compares builds.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { digestsFile, madeOf } from '../src/artefact.ts'
import {
  type Build,
  buildFile,
  buildInputs,
  commitOf,
  type Digests,
  hashOf,
  inputDigests,
  packageRoot,
} from '../src/build.ts'

const root = packageRoot()
const staging = join(root, `dist.next-${process.pid}`)

main()

function main(): void {
  const major = Number(process.versions.node.split('.')[0])
  if (major < 24) {
    fail(
      `the build needs Node 24 or newer and this is ${process.version}: use \`npm run build\` after \`npm ci\``,
    )
  }
  removeLeftovers()
  // Taken before compiling: a file that changes meanwhile makes this build stale, not wrongly fresh.
  const inputs = inputDigests(root)
  if (inputs === null) fail(`${join(root, 'src')} holds no source`)
  const identity = identify(inputs)
  compile()
  copyAssets()
  writeFileSync(join(staging, digestsFile), `${JSON.stringify(madeOf(staging, inputs), null, 2)}\n`)
  writeFileSync(join(staging, buildFile), `${JSON.stringify(identity, null, 2)}\n`)
  putInPlace()
}

function identify(inputs: Digests): Omit<Build, 'kind'> {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  const commit = commitOf(root)
  return {
    version: manifest.version,
    commit,
    dirty: commit === null ? null : isDirty(),
    sourceHash: hashOf(inputs),
    builtAt: new Date().toISOString(),
    node: process.versions.node,
  }
}

/** Null where git is not installed. */
function isDirty(): boolean | null {
  try {
    const args = ['status', '--porcelain', '--', ...buildInputs]
    return (
      execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }) !== ''
    )
  } catch {
    return null
  }
}

function compile(): void {
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
  mkdirSync(staging)
  const args = [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', staging]
  const { status, error } = spawnSync(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (status === 0) return
  rmSync(staging, { recursive: true, force: true })
  fail(
    error === undefined
      ? 'the source does not compile; dist is unchanged'
      : `tsc did not start: ${error.message}`,
  )
}

function copyAssets(): void {
  cpSync(join(root, 'src'), staging, {
    recursive: true,
    filter: (path) => !/\.tsx?$|\/\.[^/]*$/.test(path),
  })
}

/** Two builds at once both end with a whole `dist`; whose it is does not matter. */
function putInPlace(): void {
  const dist = join(root, 'dist')
  const old = join(root, `dist.old-${process.pid}`)
  for (let tries = 0; ; tries += 1) {
    if (existsSync(dist)) renameUnlessGone(dist, old)
    try {
      renameSync(staging, dist)
      break
    } catch (error) {
      if (tries === 9) throw error
      rmSync(old, { recursive: true, force: true })
    }
  }
  rmSync(old, { recursive: true, force: true })
}

function renameUnlessGone(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

/** What a build that was killed left behind. */
function removeLeftovers(): void {
  for (const name of readdirSync(root)) {
    const pid = name.match(/^dist\.(?:next|old)-(\d+)$/)?.[1]
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(root, name), { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  if (pid === process.pid) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function fail(message: string): never {
  process.stderr.write(`build: ${message}\n`)
  process.exit(1)
}
