/**
 * What `tenuto doctor` looks at in one home. Each check is a look that writes nothing and disturbs nobody.
 */
import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  readdirSync,
  type Stats,
  statfsSync,
  statSync,
} from 'node:fs'
import { createConnection } from 'node:net'
import { basename, join } from 'node:path'
import { FILES } from '../attempt.ts'
import { listFolders } from '../audit/attempts.ts'
import type { Finding } from '../audit/finding.ts'
import { type HolderLook, lookAtHolder } from '../audit/holder.ts'
import type { HomeLook } from '../audit/home.ts'
import { type JournalFacts, readJournalFacts } from '../audit/journal-file.ts'
import { backupsIn } from '../backup-place.ts'
import { readBuild } from '../build.ts'
import { systemClock } from '../clock.ts'
import { isTenutoError } from '../errors.ts'
import { HOST, LOCAL, NETWORK } from '../file-system.ts'
import { DAEMON } from '../holder.ts'
import { homePaths, misplacedFolder, putRight, shellWord } from '../home.ts'
import { standingOf } from '../home-folder.ts'
import { bootId } from '../process.ts'
import { PROTOCOL_VERSION, readFromRunner, type ToRunner } from '../protocol.ts'
import { secretPaths } from '../secrets.ts'
import { lineSender, onLines, socketPath } from '../socket.ts'
import { codeOf, wordsOf } from '../thrown.ts'
import { type Check, fail, inBytes, info, ok, warn } from './check.ts'
import { BACKUP_AGE_MS } from './daily-backup.ts'
import { holderOf } from './home.ts'
import { counted, duration } from './words.ts'

/** Looks at the folder; undefined when there is none. */
export const folderCheck = (home: string): Check | undefined => {
  const stats = lstatSync(home, { throwIfNoEntry: false })
  if (stats === undefined) return undefined
  if (stats.isSymbolicLink())
    return fail('folder', 'it is a link', 'name the folder it leads to with `--home`')
  if (!stats.isDirectory()) return fail('folder', 'it is no folder', 'name a folder with `--home`')
  const user = process.getuid?.()
  if (user !== undefined && stats.uid !== user)
    return fail('folder', `it belongs to user ${stats.uid}`, 'act as that user, or use another home')
  return modeCheck(home, stats)
}

const modeOf = ({ mode }: Stats): string => (mode & 0o777).toString(8).padStart(4, '0')

const modeCheck = (home: string, stats: Stats): Check => {
  const { lock, journal, token } = homePaths(home)
  if ((stats.mode & 0o700) !== 0o700)
    return fail('folder', `you may not read and write it (${modeOf(stats)})`, `chmod 700 ${home}`)
  if ((stats.mode & 0o077) !== 0) {
    const holds = existsSync(lock) || readdirSync(home).length === 0
    const what = `it is open to other users (${modeOf(stats)})`
    return holds
      ? warn('folder', what, `chmod 700 ${home}`)
      : fail('folder', `${what} and holds other things`, 'name a folder of its own with `--home`')
  }
  for (const path of [journal, token]) {
    const file = statSync(path, { throwIfNoEntry: false })
    if (file !== undefined && (file.mode & 0o077) !== 0)
      return warn('folder', `${basename(path)} is open to other users (${modeOf(file)})`, `chmod 600 ${path}`)
  }
  return ok('folder', `yours alone (${modeOf(stats)})`)
}

/** Whether the home is the one that its files speak of; undefined where it is. */
export const placeCheck = (home: string): Check | undefined => {
  const standing = standingOf(home)
  if (standing.how === 'own') return undefined
  const { journal } = homePaths(home)
  if (standing.how === 'elsewhere')
    return info(
      'place',
      'it stands in another folder than the one it was last held in: what ran there is lost when it is held here',
    )
  return fail(
    'place',
    `it is a copy of ${standing.first}, which is still there: nothing starts here`,
    `use that one; to make the copy a home of its own: tenuto restore ${shellWord(journal)} --home ${shellWord(home)}`,
  )
}

/** Whether the folders of the home are its own; undefined where they are. */
export const ownFoldersCheck = (home: string): Check | undefined => {
  const found = misplacedFolder(home)
  return found && fail('folders', `${found.path} ${found.what}: nothing starts here`, putRight(found))
}

/** Whether the values of secrets are this user's alone; undefined where there are none. */
export const secretsCheck = (home: string): Check | undefined => {
  const [folder, ...files] = secretPaths(home)
  if (folder === undefined) return undefined
  for (const path of [folder, ...files]) {
    const stats = lstatSync(path, { throwIfNoEntry: false })
    if (stats === undefined) continue
    const name = path === folder ? basename(path) : join(basename(folder), basename(path))
    const user = process.getuid?.()
    if (stats.isSymbolicLink())
      return warn('secrets', `${name} is a link`, `look where it leads, and remove it: rm ${path}`)
    if (user !== undefined && stats.uid !== user)
      return warn(
        'secrets',
        `${name} belongs to user ${stats.uid}`,
        `look what it is, and remove it: ${path}`,
      )
    if ((stats.mode & 0o077) !== 0)
      return warn(
        'secrets',
        `${name} is open to other users (${modeOf(stats)})`,
        `chmod ${stats.isDirectory() ? '700' : '600'} ${path}; who could read them knows them: renew them`,
      )
  }
  return ok('secrets', `of ${counted(files.length, 'plan')}, yours alone`)
}

/** What of a home cannot be written, asked without writing; undefined where nothing keeps it from that. */
export const writableCheck = (home: string): Check | undefined => {
  const { lock, journal, attempts } = homePaths(home)
  for (const path of [home, lock, journal, `${journal}-wal`, attempts].filter((each) => existsSync(each))) {
    const why = unwritable(path)
    if (why === undefined) continue
    return why === 'EROFS'
      ? fail(
          'disk',
          `${path} is mounted read-only`,
          'mount it so that it can be written; until then it can be read, and copied: `tenuto backup FILE`',
        )
      : fail('disk', `${path} cannot be written: ${why}`, 'give yourself leave to write it')
  }
  return undefined
}

const unwritable = (path: string): string | undefined => {
  try {
    accessSync(path, constants.W_OK)
    return undefined
  } catch (error) {
    return codeOf(error)
  }
}

const DISK_BYTES = { fail: 100_000_000, warn: 1_000_000_000 } as const

/** What a file system says of itself. */
export type FileSystem = Readonly<{ type: number; freeBytes: number; freeFiles: number; files: number }>

/** Asks the file system on which a folder lies. */
export const fileSystemOf = (folder: string): FileSystem => {
  const { type, bavail, bsize, ffree, files } = statfsSync(folder)
  return { type, freeBytes: bavail * bsize, freeFiles: ffree, files }
}

/** Whether there is room. */
export const diskCheck = ({ freeBytes, freeFiles, files }: FileSystem): Check => {
  const what = `${inBytes(freeBytes)} free`
  const remedy = 'free disk space; while the disk is full nothing is lost, and nothing new begins'
  // Some file systems count no files.
  if (files > 0 && freeFiles === 0) return fail('disk', `${what}, and no room for one more file`, remedy)
  if (freeBytes < DISK_BYTES.fail) return fail('disk', what, remedy)
  return freeBytes < DISK_BYTES.warn ? warn('disk', what, remedy) : ok('disk', what)
}

/** What keeps a journal, as long as it is kept itself. */
const DOUBTFUL: Readonly<Record<number, Readonly<{ name: string; why: string }>>> = {
  0x794c7630: { name: 'overlay', why: 'a container drops it with itself' },
  0x01021994: { name: 'tmpfs', why: 'it is gone after a reboot' },
  0x858458f6: { name: 'ramfs', why: 'it is gone after a reboot' },
  0x65735546: { name: 'fuse', why: 'whether its locks hold depends on what is behind it' },
}

/** Whether the journal can be kept there: its log needs shared memory and locks that hold. `locks` says what taking one came to. */
export const fileSystemCheck = ({ type }: FileSystem, locks: string | null): Check => {
  const name = 'file system'
  const remedy = 'use a home on a local disk: `--home DIR`'
  const kind = type >>> 0
  const remote = NETWORK[kind] ?? HOST[kind]
  if (remote !== undefined)
    return fail(name, `${remote}: a journal on a network is damaged sooner or later`, remedy)
  if (locks !== null) return fail(name, `no lock can be taken: ${locks}`, remedy)
  const doubtful = DOUBTFUL[kind]
  if (doubtful !== undefined) return warn(name, `${doubtful.name}: ${doubtful.why}`, remedy)
  const known = LOCAL[kind] ?? (process.platform === 'linux' ? undefined : 'local')
  return known === undefined
    ? warn(name, `of an unknown type (0x${kind.toString(16)})`, `if it is no local disk, ${remedy}`)
    : ok(name, `${known}, a lock can be taken`)
}

/** Who holds the home, as its lock says; a text where the lock cannot be tried. */
export const tryLock = (home: string): HolderLook | string => {
  try {
    return lookAtHolder(home)
  } catch (error) {
    return wordsOf(error)
  }
}

/** Whether whoever holds the home is there and answers. */
export const holderCheck = async (home: string, holder: HolderLook): Promise<Check> => {
  const { held, says, lives } = holder
  const who = says === undefined ? '' : holderInWords(says)
  if (!held) {
    return says === undefined
      ? ok('holder', 'nobody')
      : info(
          'holder',
          `nobody; the last one did not end in order (${who})`,
          '`tenuto resume` takes up what is open',
        )
  }
  if (says === undefined || !lives)
    return warn(
      'holder',
      'somebody has the lock, and daemon.json does not say who',
      `find it: fuser ${homePaths(home).lock}`,
    )
  try {
    const client = await holderOf(home)
    client?.close()
    if (client === undefined)
      return warn('holder', `${who}; it serves no socket`, 'wait, or stop it: commands cannot reach it')
  } catch (error) {
    const { message, hint } = isTenutoError(error) ? error : { message: String(error), hint: 'try again' }
    return warn('holder', `${who}; ${message}`, hint)
  }
  if (says.command === null || says.since === null || says.build === null)
    return warn('holder', `${who}; daemon.json does not say all that a holder writes`, 'start it again')
  return says.build === (readBuild().sourceHash ?? 'unknown')
    ? ok('holder', who)
    : warn('holder', `${who}; it is another build than this`, 'start it again with this build')
}

const holderInWords = ({ command, pid, since }: NonNullable<HolderLook['says']>): string =>
  [command, `pid ${pid}`, since === null ? null : `since ${since.slice(0, 19)}Z`]
    .filter((part) => part !== null)
    .join(', ')

const LOG_BYTES_WARN = 100_000_000
const WAL_BYTES_WARN = 64 * 2 ** 20

/**
 * Looks at the journal's file, and at the clock beside it.
 * @throws {TenutoError} when the file cannot be read as a journal.
 */
export const journalChecks = (home: string): readonly Check[] => {
  const facts = readJournalFacts(homePaths(home).journal)
  if (facts === undefined) return [info('journal', 'none yet; the first plan makes it')]
  return [journalCheck(facts), clockCheck(facts, systemClock.now(), bootId())]
}

const journalCheck = ({ damage, schema, bytes, walBytes, plans, steps }: JournalFacts): Check => {
  if (damage !== null) {
    const remedy = 'stop the holder, keep a copy of the home, and restore a backup of the journal'
    return { ...fail('journal', `it is damaged: ${damage}`, remedy), exit: 12 }
  }
  const holds = `${counted(plans, 'plan')}, ${counted(steps, 'step')}`
  const what = `schema ${schema}, ${inBytes(bytes)}, ${holds}, structure sound`
  if (walBytes <= WAL_BYTES_WARN) return ok('journal', what)
  return warn(
    'journal',
    `${what}; its write-ahead log has ${inBytes(walBytes)}`,
    'a reader keeps it from being folded back: end what reads the journal',
  )
}

/** What a clock may lag behind what it said itself: its own corrections. */
const CLOCK_SLACK_MS = 2_000

/** Whether the clock goes on from where the last step saw it. */
export const clockCheck = ({ lastAt, boot }: JournalFacts, now: number, thisBoot: string): Check => {
  const booted =
    boot !== null && boot !== thisBoot ? '; the machine was booted since the last holder began' : ''
  if (lastAt === null) return ok('clock', `no step yet${booted}`)
  if (now < lastAt - CLOCK_SLACK_MS)
    return warn(
      'clock',
      `it is ${duration(lastAt - now)} behind the last step: it was set back`,
      'set it right: until then the times of what happens are out of order, and retries wait longer',
    )
  return ok('clock', `${duration(now - lastAt)} after the last step${booted}`)
}

/** A daemon that has served for so long without making one could not. */
const BACKUP_LATE_MS = 2 * BACKUP_AGE_MS

/** Whether there is a way back should the journal be damaged. */
export const backupCheck = (home: string, holder: HolderLook | undefined, now: number): Check => {
  const all = backupsIn(home).whole
  const newest = all.at(-1)
  const ageMs = newest === undefined ? Number.POSITIVE_INFINITY : now - newest.at
  const what =
    newest === undefined
      ? 'none yet'
      : `${all.length}, the newest ${duration(Math.max(0, ageMs))} old (${basename(newest.path)})`
  const { command = null, since = null } = holder?.held ? (holder.says ?? {}) : {}
  const servedMs = command === DAEMON && since !== null ? now - Date.parse(since) : 0
  if (Math.min(ageMs, servedMs) > BACKUP_LATE_MS)
    return warn(
      'backups',
      `${what}; the daemon makes one a day, and could not`,
      'make one, and see what keeps it from that: `tenuto backup`',
    )
  return newest === undefined
    ? info('backups', `${what}; a daemon makes one a day`, 'make one now: `tenuto backup`')
    : ok('backups', what)
}

/** How much disk the logs of attempts use, and how far those of daemon and runner have grown. */
export const logCheck = (home: string): Check => {
  const sizes = ['daemon.log', 'runner.log', 'runner.log.1'].map(
    (name) => [name, statSync(join(home, name), { throwIfNoEntry: false })?.size ?? 0] as const,
  )
  const ofAttempts = listFolders(home).reduce(
    // A log with a hole in it is longer than what it takes.
    (sum, { path }) => sum + (statSync(join(path, FILES.log), { throwIfNoEntry: false })?.blocks ?? 0) * 512,
    0,
  )
  const own = sizes.reduce((sum, [, bytes]) => sum + bytes, 0)
  const what = `${inBytes(ofAttempts)} of attempts, ${inBytes(own)} of daemon and runner`
  const [large] = sizes.filter(([, bytes]) => bytes > LOG_BYTES_WARN)
  return large === undefined
    ? ok('logs', what)
    : warn(
        'logs',
        `${what}; ${large[0]} is large`,
        `read its end, then: truncate -s 0 ${join(home, large[0])}`,
      )
}

/** What answers on the socket of the runner. */
export type RunnerAnswer = Readonly<{ serves: false }> | Readonly<{ serves: true; protocol: number | null }>

const RUNNER_ANSWERS_MS = 2_000

/**
 * Asks the runner for its protocol. The question is a greeting in a protocol that no runner speaks: it is turned down with the
 * number of its own, before anything about who is in command is looked at.
 */
export const askRunner = (home: string): Promise<RunnerAnswer> =>
  new Promise((resolve) => {
    const socket = createConnection(socketPath(home, 'runner.sock'))
    const cancel = systemClock.setTimeout(() => answer({ serves: true, protocol: null }), RUNNER_ANSWERS_MS)
    const answer = (said: RunnerAnswer): void => {
      cancel()
      socket.destroy()
      resolve(said)
    }
    socket.once('error', () => answer({ serves: false }))
    socket.once('close', () => answer({ serves: true, protocol: null }))
    socket.once('connect', () => {
      onLines(socket, (line) => {
        const message = readFromRunner(line)
        if (message?.type !== 'refused') return
        const protocol = /protocol (\d+)/.exec(message.message)?.[1]
        answer({ serves: true, protocol: protocol === undefined ? null : Number(protocol) })
      })
      lineSender(socket)({ type: 'hello', v: 0, epoch: 0, build: '' } satisfies ToRunner)
    })
  })

/** Whether the attempts that run have somebody who watches them. */
export const runnerCheck = (answer: RunnerAnswer, live: number, pid: number | undefined): Check => {
  if (!answer.serves) {
    return live === 0
      ? ok('runner', 'none, and none is needed')
      : warn(
          'runner',
          `none serves, and ${counted(live, 'process lives', 'processes live')}`,
          '`tenuto resume` starts one, which adopts it',
        )
  }
  if (answer.protocol === null)
    return warn(
      'runner',
      `${pid === undefined ? 'it' : `pid ${pid}`} takes connections and does not answer`,
      `${pid === undefined ? '' : `\`kill -CONT ${pid}\` lets it go on if it was stopped; `}look at the end of runner.log`,
    )
  return answer.protocol === PROTOCOL_VERSION
    ? ok('runner', `it answers, protocol ${answer.protocol}`)
    : warn(
        'runner',
        `it speaks protocol ${answer.protocol}, and this tenuto ${PROTOCOL_VERSION}`,
        'it leaves by itself 5 s after its last attempt has ended',
      )
}

const FOLDERS: ReadonlySet<Finding['kind']> = new Set(['orphan-folder', 'attempt-beyond'])

/** What lives and lies beside the journal: processes and attempt folders that belong to nothing. */
export const besideChecks = ({ findings, counts }: HomeLook): readonly Check[] => [
  processesCheck(
    findings.filter(({ kind }) => !FOLDERS.has(kind)),
    counts.processes,
  ),
  foldersCheck(
    findings.filter(({ kind }) => FOLDERS.has(kind)),
    counts.folders,
  ),
]

const processesCheck = (findings: readonly Finding[], processes: number): Check => {
  const name = 'processes'
  const live = counted(processes, 'process', 'processes')
  const strays = findings.filter(({ grade }) => grade !== 'note').length
  if (strays > 0) return { ...fail(name, `${counted(strays, 'stray')} among ${live}`, null), findings }
  if (findings.length > 0) return { ...info(name, `${live}, ${findings.length} left behind`), findings }
  return ok(name, processes === 0 ? 'none with the marker of this home' : `${live}, each of an attempt`)
}

const foldersCheck = (findings: readonly Finding[], folders: number): Check => {
  const all = counted(folders, 'folder')
  if (findings.length === 0) return ok('attempts', `${all}, all known`)
  const orphans = findings.filter(({ kind }) => kind === 'orphan-folder')
  if (orphans.length > 0)
    return { ...fail('attempts', `${counted(orphans.length, 'orphan')} among ${all}`, null), findings }
  const said = `${all}, ${findings.length} begun after what the journal knows; tenuto resume takes them in`
  return { ...info('attempts', said), findings }
}
