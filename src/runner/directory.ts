/**
 * The files of an attempt directory as the runner writes and reads them. Each is written so that a crash at any point leaves
 * something the next runner can classify. Nothing is forced to disk: a power cut is told by the boot id.
 */
import {
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import {
  type AttemptRef,
  type Claim,
  type ExitRecord,
  FILES,
  homeOfAttempt,
  type Identity,
  type ProcessRecord,
  type Range,
  RECORD_VERSION,
  readClaim,
  readExitRecord,
  readHole,
  readProcessRecord,
  readStopRecord,
  type StopRecord,
} from '../attempt.ts'
import { makeFolders } from '../home-place.ts'
import { readRecord } from '../record-file.ts'
import { codeOf } from '../thrown.ts'

const PRIVATE = 0o600

/** Creates the claim, with the directory around it; whether this call made it. */
export const takeClaim = (ref: AttemptRef, claim: Omit<Claim, 'v' | 'key'>): boolean => {
  const home = homeOfAttempt(ref.dir)
  makeFolders(home, ref.dir)
  makeFolders(home, join(ref.dir, FILES.artifacts))
  try {
    const text = JSON.stringify({ v: RECORD_VERSION, key: ref.key, ...claim } satisfies Claim)
    writeFileSync(join(ref.dir, FILES.claim), text, { flag: 'wx', mode: PRIVATE })
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

/** Who has decided about the attempt; undefined when the claim is missing or was cut off by a crash. */
export const claimOf = (dir: string): Claim | undefined => read(dir, FILES.claim, readClaim)

/**
 * Opens the log for its process. That the file exists is also the intent: from now on the attempt may have had effects.
 * Returns the descriptor.
 */
export const openLog = (dir: string): number => openSync(join(dir, FILES.log), 'a', PRIVATE)

/** Whether the attempt may have had effects. */
export const mayHaveStarted = (dir: string): boolean => {
  try {
    return lstatSync(join(dir, FILES.log), { throwIfNoEntry: false }) !== undefined
  } catch (error) {
    // Something else is where the folder was.
    if (codeOf(error) === 'ENOTDIR') return false
    throw error
  }
}

/** Writes what the attempt may read about its needs. */
export const writeNeeds = (dir: string, json: string): void =>
  writeFileSync(join(dir, FILES.needs), json, { mode: PRIVATE })

/** Records the main process. */
export const writeProcess = (
  dir: string,
  key: string,
  identity: Identity,
  startedAt: number,
  startedMono: number,
): void => {
  const record: ProcessRecord = { v: RECORD_VERSION, key, ...identity, startedAt, startedMono }
  writeFileSync(join(dir, FILES.process), JSON.stringify(record), { mode: PRIVATE })
}

/**
 * Notes which process is the main one, before it can be recorded: as one more name of the claim, which costs a start next to nothing.
 * A descendant that leads a group of its own is not taken for it then.
 */
export const noteMain = (dir: string, pid: number): void =>
  linkSync(join(dir, FILES.claim), join(dir, `${MAIN}${pid}`))

/** Which process was noted; undefined when none was. */
export const mainOf = (dir: string): number | undefined => {
  const noted = namesIn(dir).find((name) => name.startsWith(MAIN))
  return noted === undefined ? undefined : Number(noted.slice(MAIN.length))
}

const MAIN = 'main-'
const namesIn = (dir: string): readonly string[] => {
  try {
    return readdirSync(dir)
  } catch (error) {
    // There is no such folder, or there can be none.
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return []
    throw error
  }
}

/** Records that the main process was asked to end, and until when it may take. */
export const writeStop = (dir: string, stop: Omit<StopRecord, 'v'>): void =>
  writeNew(join(dir, FILES.stop), JSON.stringify({ v: RECORD_VERSION, ...stop } satisfies StopRecord))

/** How the attempt began to be stopped; undefined when nobody has begun, or that is not known. */
export const stopOf = (dir: string): StopRecord | undefined => read(dir, FILES.stop, readStopRecord)

/** The main process as it was recorded. */
export const processOf = (dir: string): ProcessRecord | undefined =>
  read(dir, FILES.process, readProcessRecord)

/** Records the end: beside, then renamed, so that nobody ever reads half of it. Makes the directory again if it was removed. */
export const writeExit = (dir: string, record: ExitRecord): void => {
  try {
    replace(dir, FILES.exit, JSON.stringify(record))
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    makeFolders(homeOfAttempt(dir), dir)
    replace(dir, FILES.exit, JSON.stringify(record))
  }
}

/** How the attempt ended; undefined when no end is recorded. */
export const exitOf = (dir: string): ExitRecord | undefined => read(dir, FILES.exit, readExitRecord)

/** Records which bytes of the log are left out. */
export const writeHole = (dir: string, hole: Range): void => replace(dir, FILES.hole, JSON.stringify(hole))

/** Which bytes of the log are left out. */
export const holeOf = (dir: string): Range | undefined => read(dir, FILES.hole, readHole)

/** What the file system says about the log; undefined when there is no such file, or a link. */
export const logOf = (
  dir: string,
): Readonly<{ bytes: number; diskBytes: number; inode: number }> | undefined => {
  const found = lstatSync(join(dir, FILES.log), { throwIfNoEntry: false })
  return found?.isFile() ? { bytes: found.size, diskBytes: found.blocks * 512, inode: found.ino } : undefined
}

/** Pages are what a write is cut off at, where blocks are larger. */
const PAGE_BYTES = 4_096

/** The bytes of a block where the disk has none left for this user; undefined where it has. (What a quota leaves, nobody can ask.) */
export const fullBlock = (dir: string): number | undefined => {
  const { blocks, bavail, bfree, bsize } = statfsSync(dir)
  // Some file systems count no blocks.
  const isFull = blocks > 0 && (process.getuid?.() === 0 ? bfree : bavail) === 0
  return isFull ? Math.min(bsize, PAGE_BYTES) : undefined
}

const replace = (dir: string, name: string, text: string): void => {
  const beside = join(dir, `${name}.tmp`)
  writeNew(beside, text)
  try {
    renameSync(beside, join(dir, name))
  } catch (error) {
    // A job has made a folder of its own there.
    if (codeOf(error) !== 'EISDIR') throw error
    renameSync(join(dir, name), join(dir, `${name}.aside`))
    renameSync(beside, join(dir, name))
  }
}

/** Never into what is there: that may be a pipe that nobody reads. */
const writeNew = (path: string, text: string): void => {
  try {
    writeFileSync(path, text, { flag: 'wx', mode: PRIVATE })
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    rmSync(path, { recursive: true, force: true })
    writeFileSync(path, text, { flag: 'wx', mode: PRIVATE })
  }
}

const read = <T>(dir: string, name: string, parse: (text: string) => T | undefined): T | undefined => {
  const text = readRecord(join(dir, name))
  return text === undefined ? undefined : parse(text)
}
