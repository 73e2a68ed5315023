/**
 * What `tenuto doctor` looks at on this machine, whatever the home.
 */
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { readBuild } from '../build.ts'
import { jobEnvironment } from '../config.ts'
import { type Check, fail, info, ok, warn } from './check.ts'

const NODE_MAJOR_MIN = 24
/** Older ones can damage a file in WAL mode that two connections use (https://www.sqlite.org/wal.html#walresetbug). */
const SQLITE_MIN = '3.51.3'
const AGENTS = ['claude', 'codex', 'gemini', 'opencode', 'copilot', 'cursor-agent']

/** Looks at what does not depend on a home. */
export const machineChecks = (): readonly Check[] => {
  const { version, commit, kind, dirty } = readBuild()
  const from = commit === null ? '' : `, commit ${commit.slice(0, 12)}${dirty ? ' with changes' : ''}`
  return [
    ok('tenuto', `${version}${kind === 'development' ? ', run from its source' : ''}${from}`),
    nodeCheck(process.versions.node),
    sqliteCheck(process.versions['sqlite'] ?? '0'),
    ...programChecks(jobEnvironment()['PATH'] ?? ''),
    ...(existsSync(LIMITS) ? openFilesCheck(readFileSync(LIMITS, 'utf8')) : []),
  ]
}
const LIMITS = '/proc/self/limits'

/** Of a thousand attempts at once each has a log and its pipes, beside the journal and those who are connected. */
const OPEN_FILES_LEAST = 4_096

/** Whether so many files may be open as many attempts need, by the limits of a process as Linux shows them. */
export const openFilesCheck = (limits: string): readonly Check[] => {
  // Node has raised the soft limit to the hard one for itself, as it does for the daemon.
  const soft = /^Max open files +(\S+)/m.exec(limits)?.[1]
  if (soft === undefined) return []
  const files = soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
  return [
    files >= OPEN_FILES_LEAST
      ? ok('open files', soft)
      : warn(
          'open files',
          `${soft} at once, the hard limit: with many attempts there are no more for their logs, and they cannot be started`,
          `where the daemon is started: ulimit -n ${OPEN_FILES_LEAST}; in a unit of systemd: LimitNOFILE=${OPEN_FILES_LEAST}`,
        ),
  ]
}

/** Whether this Node is new enough. */
export const nodeCheck = (version: string): Check =>
  Number.parseInt(version, 10) >= NODE_MAJOR_MIN
    ? ok('node', version)
    : fail('node', `${version} is too old`, `install Node ${NODE_MAJOR_MIN}`)

/** Whether the SQLite in this Node is new enough. */
export const sqliteCheck = (version: string): Check => {
  const [have, least] = [version, SQLITE_MIN].map((each) => each.split('.').map(Number))
  const differs = least?.findIndex((part, at) => part !== (have?.[at] ?? 0)) ?? -1
  return differs === -1 || (have?.[differs] ?? 0) > (least?.[differs] ?? 0)
    ? ok('sqlite', version)
    : fail(
        'sqlite',
        `${version} is older than ${SQLITE_MIN}`,
        'install a newer Node 24: SQLite comes with it',
      )
}

/** Shells that jobs need, and agents that may be there, on this PATH. */
export const programChecks = (path: string): readonly Check[] => {
  const folders = path.split(delimiter).filter((folder) => folder !== '')
  const isThere = (name: string): boolean => folders.some((folder) => isProgram(join(folder, name)))
  const [found, missing] = [AGENTS.filter(isThere), AGENTS.filter((name) => !isThere(name))]
  const bash = isThere('bash') ? 'sh and bash' : 'sh; no bash, for jobs that ask for it'
  return [
    isThere('sh')
      ? ok('shell', bash)
      : fail('shell', 'there is no `sh` on the PATH', 'put it on the PATH: `run` jobs need it'),
    info(
      'agents',
      found.length === 0
        ? `none on the PATH of ${missing.join(', ')}`
        : `${found.join(', ')} on the PATH${missing.length === 0 ? '' : `; not found: ${missing.join(', ')}`}`,
    ),
  ]
}

const isProgram = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}
